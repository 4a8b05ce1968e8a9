"""MaskDistill with ViT-Ti/4 at 32 px on the training images of CIFAR-10.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/maskdistill_vitt_cifar10.py 1

A run of this library is the teacher:
`--cfg-options model.teacher.checkpoint=work_dirs/ccmim_vitt_cifar10/epoch_40.pth`.
The same data and schedule as ccmim_vitt_cifar10.py.
"""

_base_ = [
    '../_base_/models/maskdistill_vit.py',
    '../_base_/datasets/cifar10_unlabelled.py',
    '../_base_/pretraining_cifar10.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4),
    teacher=dict(
        _delete_=True,
        type='ViTTeacher',
        backbone=dict(type='VisionTransformer', arch='tiny', img_size=32, patch_size=4),
        checkpoint=None,
    ),
)
