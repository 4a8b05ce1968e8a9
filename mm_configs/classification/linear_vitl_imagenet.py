r"""Linear probe of a frozen ViT-L/16 on ImageNet-1K: the recipe of ViT-B.

    tools/dist_train.sh mm_configs/classification/linear_vitl_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: with MAE's weights (1600 epochs) the paper reports 75.8 top-1. With ccMIM's
weights: not known. Eight GPUs at batch 512 each.
"""

_base_ = './linear_vitb_imagenet.py'
model = dict(backbone=dict(arch='large'))
