"""SimMIM with ViT-Ti/16 at 128 px on the training photos of all small sets.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/simmim_vitt.py 1

The same data and schedule as ccmim_vitt.py. Single patches are masked and no block is
dropped, for the reason in simmim_vitt_cifar10.py.
"""

_base_ = [
    '../_base_/models/simmim_vit.py',
    '../_base_/datasets/small_photos.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=128, drop_path_rate=0.0),
    sampler=dict(unit_size=16),
)
