"""AMT on MAE with ViT-Ti/4 at 32 px on the training images of CIFAR-10.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/amt_mae_vitt_cifar10.py 1

The same data and schedule as ccmim_vitt_cifar10.py; scores from epoch 10 on.
"""

_base_ = [
    '../_base_/models/amt_mae_vit.py',
    '../_base_/datasets/cifar10_unlabelled.py',
    '../_base_/pretraining_cifar10.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4),
    sampler=dict(begin=10 / 40),
    decoder=dict(embed_dim=128, depth=2, num_heads=4),
)
train_dataloader = dict(
    dataset=dict(
        type='ImagesWithCropBox',
        transform=[dict(type='RandomCropWithBox', size=None, scale=(0.2, 1.0))],
    )
)
custom_hooks = [dict(type='ccmim.ScoreRefreshHook', begin=10 / 40, interval=10 / 40)]
