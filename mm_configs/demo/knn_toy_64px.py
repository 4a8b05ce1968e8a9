r"""Segmentation of the toy scenes by the nearest patches of a frozen ViT.

    python tools/make_toy_scenes.py work_dirs/toy_scenes --size 64
    python tools/patch_knn.py CHECKPOINT --random \
        --config mm_configs/demo/knn_toy_64px.py

Nothing is trained.
"""

_base_ = './knn_toy.py'
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(
        arch=dict(embed_dim=128, depth=4, num_heads=2),
        img_size=64,
        patch_size=8,
        out_indices=(3,),
        frozen_stages=4,
    ),
    decode_head=dict(in_channels=128),
)
