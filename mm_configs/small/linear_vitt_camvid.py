r"""A linear classifier on frozen features of ViT-Ti/16, on CamVid: a cheap dense probe.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/linear_vitt_camvid.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

A random backbone without the option. Batch norm and a 1 x 1 convolution on the last
map, after the final norm, for whole images of 384 x 288.
"""

_base_ = [
    '../_base_/models/linear_seg_vit.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/short.py',
    '../_base_/segmentation.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=(288, 384), pos_embed='sincos'),
    decode_head=dict(num_classes=11, norm_cfg=dict(type='BN')),
    test_cfg=dict(_delete_=True, mode='whole'),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=1.0))
