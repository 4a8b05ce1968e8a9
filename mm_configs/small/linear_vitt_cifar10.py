r"""Linear probe of a frozen ViT-Ti/4 at 32 px on CIFAR-10, 10 epochs.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/linear_vitt_cifar10.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Random weights are probed without the option.
"""

_base_ = [
    '../_base_/models/linear_vit.py',
    '../_base_/datasets/cifar10.py',
    '../_base_/schedules/linear_short.py',
    '../_base_/classification.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4), head=dict(num_classes=10)
)
