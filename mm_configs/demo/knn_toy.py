r"""Segmentation of the toy scenes by the nearest patches of a frozen ViT.

    python tools/make_toy_scenes.py work_dirs/toy_scenes
    python tools/patch_knn.py CHECKPOINT --random \
        --config mm_configs/demo/knn_toy.py

Nothing is trained.
"""

_base_ = [
    '../_base_/models/linear_seg_vit.py',
    '../_base_/datasets/toy_classes.py',
    '../_base_/segmentation.py',
]
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        arch=dict(_delete_=True, embed_dim=192, depth=6, num_heads=3),
        img_size=128,
        patch_size=16,
        pos_embed='sincos',
        out_indices=(5,),
        frozen_stages=6,
    ),
    decode_head=dict(in_channels=192, num_classes=8, norm_cfg=dict(type='BN')),
)
