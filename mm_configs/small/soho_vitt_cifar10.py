"""SOHO's visual words with ViT-Ti/4 at 32 px on the training images of CIFAR-10.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/soho_vitt_cifar10.py 1

The same data and schedule as ccmim_vitt_cifar10.py, with fewer words and a narrower
projector; squares of 8 px are masked.
"""

_base_ = [
    '../_base_/models/soho_vit.py',
    '../_base_/datasets/cifar10_unlabelled.py',
    '../_base_/pretraining_cifar10.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4),
    projector=dict(hidden_dim=512),
    dictionary=dict(num_codes=256),
    sampler=dict(unit_size=8),
)
