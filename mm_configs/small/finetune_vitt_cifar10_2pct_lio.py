r"""LIO: fine-tuning of ViT-Ti/4 at 32 px on a fiftieth of CIFAR-10's labels.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/finetune_vitt_cifar10_2pct_lio.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

1,000 images, and otherwise finetune_vitt_cifar10_10pct_lio.py.
"""

_base_ = 'finetune_vitt_cifar10_10pct_lio.py'
train_dataloader = dict(dataset=dict(label_ratio=0.02))
