"""SimMIM, ViT-B/16, 800 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/simmim_vitb.py 8

Recipe: SimMIM, configs/vit_base__800ep/simmim_pretrain__vit_base__img224__800ep.yaml.
Expected: 83.8 top-1 fine-tuned (SimMIM, README.md). Departs: fixed absolute positions
in place of relative ones that all blocks share; no layer scale; a head that begins with
Xavier's weights and no bias. Not run by us at full length. Effective batch 2048 = 8
GPUs x 256 images; the rate drops to a tenth for the last 100 epochs.
"""

_base_ = [
    '../_base_/models/simmim_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(backbone=dict(weight_init='beit'))
train_dataloader = dict(batch_size=256)
_base_.train_dataloader.dataset.transform[0].update(
    scale=(0.67, 1.0), interpolation='bilinear'
)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=1e-4 * 2048 / 512, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(no_decay_names=('cls_token', 'pos_embed')),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=5e-7 / 1e-4,
        end=10 / 800,
        convert_to_iter_based=True,
    ),
    dict(
        type='MultiStepLR',
        gamma=0.1,
        milestones=[700 / 800],
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=2048)
