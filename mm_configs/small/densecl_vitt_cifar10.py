"""DenseCL with ViT-Ti/4 at 32 px on the training images of CIFAR-10.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/densecl_vitt_cifar10.py 1

Data and schedule of ccmim_vitt_cifar10.py at half its rate, as in densecl_vitt.py;
cells of 2 x 2 patches.
"""

_base_ = [
    '../_base_/models/densecl_vit.py',
    '../_base_/datasets/cifar10_unlabelled.py',
    '../_base_/pretraining_cifar10.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4),
    projector=dict(hidden_dim=512),
    contrast=dict(length=5120),
    dense_contrast=dict(length=5120),
    teacher=dict(momentum=0.99, last_momentum=0.99),
    cells=4,
    dense_begin=100,
)
train_dataloader = dict(
    dataset=dict(
        transform=[
            dict(type='TwoViews', transform=_base_.train_dataloader.dataset.transform)
        ]
    )
)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
