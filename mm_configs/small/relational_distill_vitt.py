"""Relational distillation into ViT-Ti/16 at 128 px: a run of this library teaches.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/relational_distill_vitt.py 1 \
        --cfg-options model.teacher.checkpoint=work_dirs/ccmim_vitt/epoch_40.pth

The same data and schedule as ccmim_vitt.py, whose checkpoint teaches here. The queue
holds half of the photos or less.
"""

_base_ = [
    '../_base_/models/relational_distill_vit.py',
    '../_base_/datasets/small_photos.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=128),
    teacher=dict(backbone=dict(arch='tiny')),
    photos=dict(length=512),
)
