r"""Fine-tuning of ViT-L/16 on ImageNet-1K, MAE's recipe: 50 epochs at batch 1024.

    tools/dist_train.sh mm_configs/classification/finetune_vitl_imagenet.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: as finetune_vitb_imagenet.py. Expected: 85.9 top-1 (MAE, README.md: with its
weights of 1600 epochs). Departs: RandAugment's magnitude below 10. With ccMIM's
weights: not known. Eight GPUs at batch 128 each.
"""

_base_ = [
    '../_base_/models/classifier_vit.py',
    '../_base_/datasets/imagenet_labelled.py',
    '../_base_/schedules/finetune_50e.py',
    '../_base_/classification.py',
]
model = dict(backbone=dict(arch='large', drop_path_rate=0.2))
