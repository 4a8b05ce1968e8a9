r"""Linear probe of a frozen ViT-S/16 on ImageNet-1K: the recipe of ViT-B.

    tools/dist_train.sh mm_configs/classification/linear_vits_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: not known. Departs: the source has no ViT-S. Eight GPUs at batch 512 each.
"""

_base_ = './linear_vitb_imagenet.py'
model = dict(backbone=dict(arch='small'))
