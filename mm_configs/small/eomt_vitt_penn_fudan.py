r"""EoMT with ViT-Ti/16 on the 128 + 42 photos of Penn-Fudan (pedestrians).

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/eomt_vitt_penn_fudan.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option.
"""

_base_ = [
    '../_base_/models/eomt_vit_slim.py',
    '../_base_/datasets/penn_fudan.py',
    '../_base_/schedules/eomt_short.py',
    '../_base_/detection.py',
]
model = dict(panoptic_head=dict(num_things_classes=1))
