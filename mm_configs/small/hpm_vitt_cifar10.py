"""HPM on MAE with ViT-Ti/4 at 32 px on the training images of CIFAR-10.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/hpm_vitt_cifar10.py 1

The same data and schedule as ccmim_vitt_cifar10.py; a faster teacher, as
there are fewer steps.
"""

_base_ = [
    '../_base_/models/hpm_vit.py',
    '../_base_/datasets/cifar10_unlabelled.py',
    '../_base_/pretraining_cifar10.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4),
    predictor=dict(embed_dim=128, depth=2, num_heads=4),
    teacher=dict(momentum=0.99),
    decoder=dict(embed_dim=128, depth=2, num_heads=4),
)
