"""DenseCL, ViT-B/16, 300 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/densecl_vitb.py 8

Recipe: MoCo v3, CONFIG.md and vits.py;
configs/selfsup/densecl/densecl_imagenet_200ep.py of DenseCL. Expected: no figure is
known. Departs: a Vision Transformer in place of a ResNet, so that no figure is known;
projections that begin with Xavier's weights; colors are changed in a fixed order, and
the hue in YIQ; squares of 2 x 2 patches as cells. Not run at full length. Effective
batch 1024 = 8 GPUs x 128 images, so 6,272 cells a GPU, each compared with 65,536 keys.
"""

_base_ = [
    '../_base_/models/densecl_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
_base_.train_dataloader.dataset.transform[0].interpolation = 'bilinear'
model = dict(backbone=dict(weight_init='moco', freeze_patch_embed=True))
train_dataloader = dict(
    dataset=dict(
        transform=[
            dict(type='TwoViews', transform=_base_.train_dataloader.dataset.transform)
        ]
    ),
)
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=1.5e-4 * 1024 / 256, betas=(0.9, 0.999), weight_decay=0.1),
    paramwise_cfg=dict(no_decay_by_shape=False),  # all of them are decayed
)
_base_.param_scheduler[0].end = 40 / 300
_base_.param_scheduler[1].begin = 40 / 300
auto_scale_lr = dict(base_batch_size=1024)
