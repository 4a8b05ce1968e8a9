r"""k-NN on features of a frozen ViT-Ti/4 at 32 px, CIFAR-10.

    CCMIM_DATA=data python tools/knn.py CHECKPOINT \
        --config mm_configs/small/knn_vitt_cifar10.py --random

Nothing is trained; `--linear` fits a linear probe on the same features as well.
"""

_base_ = [
    '../_base_/models/linear_vit.py',
    '../_base_/datasets/cifar10_features.py',
    '../_base_/classification.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4), head=dict(num_classes=10)
)
