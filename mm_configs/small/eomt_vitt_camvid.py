r"""EoMT with ViT-Ti/16 on the 367 + 101 road photos of CamVid, 11 classes.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/eomt_vitt_camvid.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option.
"""

_base_ = [
    '../_base_/models/eomt_vit_semantic_slim.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/eomt_short.py',
    '../_base_/segmentation.py',
]
model = dict(
    backbone=dict(img_size=(288, 384)),
    decode_head=dict(num_classes=11),
)
