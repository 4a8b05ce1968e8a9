r"""EoMT with ViT-S/16 on ADE20K: the recipe of ViT-L, with queries in 3 blocks.

    tools/dist_train.sh mm_configs/segmentation/eomt_vits_ade20k.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: not known. Departs: the source has no ViT-S there. Eight GPUs at batch 2
each.
"""

_base_ = './eomt_vitl_ade20k.py'
model = dict(backbone=dict(arch='small'))
