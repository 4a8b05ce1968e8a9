"""ccMIM with ViT-Ti/4 at 32 px on the training images of CIFAR-10.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/ccmim_vitt_cifar10.py 1

`python tools/knn.py CHECKPOINT --config mm_configs/small/knn_vitt_cifar10.py` tells
what it has learnt.
"""

_base_ = [
    '../_base_/models/ccmim_vit.py',
    '../_base_/datasets/cifar10_unlabelled.py',
    '../_base_/pretraining_cifar10.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4),
    decoder=dict(embed_dim=128, depth=2, num_heads=4),
)
