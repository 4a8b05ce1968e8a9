r"""Fine-tuning of ViT-Ti/4 at 32 px on CIFAR-10, 10 epochs.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/finetune_vitt_cifar10.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. `train_dataloader.dataset.label_ratio=0.1` uses a tenth
of the labels.
"""

_base_ = [
    '../_base_/models/classifier_vit.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/finetune_short.py',
    '../_base_/classification.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4, drop_path_rate=0.0),
    head=dict(num_classes=10),
    mixing=dict(mixup=0.0, cutmix=0.0, erase_prob=0.0),
)
