"""DenseCL with ViT-Ti/16 at 128 px on the training photos of all small sets.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/densecl_vitt.py 1

The same data and schedule as ccmim_vitt.py at half its rate, at which the loss fell and
rose again; queues of twenty batches, a faster teacher and an earlier start of the
cells' loss, as there are fewer images and steps.
"""

_base_ = [
    '../_base_/models/densecl_vit.py',
    '../_base_/datasets/small_photos.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=128),
    projector=dict(hidden_dim=512),
    contrast=dict(length=1280),
    dense_contrast=dict(length=1280),
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
