r"""EoMT with ViT-Ti/16 on 100 + 100 photos of COCO, all 80 categories.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/eomt_vitt_coco_mini.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. An exercise of the
whole chain on COCO's own files, not a measure of a backbone.
"""

_base_ = [
    '../_base_/models/eomt_vit_slim.py',
    '../_base_/datasets/coco_mini.py',
    '../_base_/schedules/eomt_short.py',
    '../_base_/detection.py',
]
