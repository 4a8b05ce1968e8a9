"""SimCLR, ViT-B/16, 300 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/simclr_vitb.py 8

Recipe: MoCo v3, CONFIG.md and vits.py; data_util.py of SimCLR. Expected: no figure is
known. Departs: a Vision Transformer in place of a ResNet, so that no figure is known; a
projection of two layers, as in the paper; projections that begin with Xavier's weights;
colors are changed in a fixed order, and the hue in YIQ. Not run at full length.
Effective batch 4096 = 8 GPUs x 512 images, of which every view is a negative of every
other.
"""

_base_ = [
    '../_base_/models/simclr_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
_base_.train_dataloader.dataset.transform[0].scale = (0.08, 1.0)
model = dict(backbone=dict(weight_init='moco', freeze_patch_embed=True))
train_dataloader = dict(
    batch_size=512,
    dataset=dict(
        transform=[
            dict(type='TwoViews', transform=_base_.train_dataloader.dataset.transform)
        ]
    ),
)
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(betas=(0.9, 0.999), weight_decay=0.1),
    paramwise_cfg=dict(no_decay_by_shape=False),  # all of them are decayed
)
_base_.param_scheduler[0].end = 40 / 300
_base_.param_scheduler[1].begin = 40 / 300
