r"""Segmentation by the nearest patches with a frozen ViT-Ti/16, CamVid.

    CCMIM_DATA=data python tools/patch_knn.py CHECKPOINT \
        --config mm_configs/small/knn_vitt_camvid.py --random

Whole images of 384 x 288. Nothing is trained.
"""

_base_ = [
    '../_base_/models/linear_seg_vit.py',
    '../_base_/datasets/camvid.py',
    '../_base_/segmentation.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=(288, 384), pos_embed='sincos'),
    decode_head=dict(num_classes=11, norm_cfg=dict(type='BN')),
)
