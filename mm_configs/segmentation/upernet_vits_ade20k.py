r"""UperNet with ViT-S/16 on ADE20K: the recipe of ViT-B, heads of its own width.

    tools/dist_train.sh mm_configs/segmentation/upernet_vits_ade20k.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: not known. Departs: the source has no ViT-S. Eight GPUs at batch 2 each.
"""

_base_ = './upernet_vitb_ade20k.py'
model = dict(backbone=dict(arch='small'))
