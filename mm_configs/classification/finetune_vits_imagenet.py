r"""Fine-tuning of ViT-S/16 on ImageNet-1K: the recipe of ViT-B, unchanged.

    tools/dist_train.sh mm_configs/classification/finetune_vits_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: not known. Departs: the source has no ViT-S. Eight GPUs at batch 128 each.
"""

_base_ = './finetune_vitb_imagenet.py'
model = dict(backbone=dict(arch='small'))
