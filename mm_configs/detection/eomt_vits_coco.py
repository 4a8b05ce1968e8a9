r"""EoMT with ViT-S/16 on COCO (instances): ViT-L's recipe, queries in 3 blocks.

    tools/dist_train.sh mm_configs/detection/eomt_vits_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: not known. Departs: the source has no ViT-S there. Eight GPUs at batch 2
each.
"""

_base_ = './eomt_vitl_coco.py'
model = dict(backbone=dict(arch='small'))
