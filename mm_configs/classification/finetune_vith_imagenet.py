r"""Fine-tuning of ViT-H/14 on ImageNet-1K, MAE's recipe: 50 epochs at batch 1024.

    tools/dist_train.sh mm_configs/classification/finetune_vith_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: as finetune_vitl_imagenet.py. Expected: 86.9 top-1 (MAE, README.md: with its
weights of 1600 epochs). Departs: RandAugment's magnitude below 10. With ccMIM's
weights: not known. Eight GPUs at batch 128 each.
"""

_base_ = './finetune_vitl_imagenet.py'
model = dict(backbone=dict(arch='huge', patch_size=14, drop_path_rate=0.3))
