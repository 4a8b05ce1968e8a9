"""CAE's schedule: 12 epochs of COCO at batch 32, in iterations."""

epoch = 3665  # 117,266 annotated images / 32
train_cfg = dict(type='IterBasedTrainLoop', max_iters=12 * epoch, val_interval=epoch)
optim_wrapper = dict(
    type='ccmim.AutocastOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(
        type='AdamW', fused=True, lr=3e-4, betas=(0.9, 0.999), weight_decay=0.05
    ),
    constructor='ccmim.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay=0.75, no_decay_names=()),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, end=500 / (12 * epoch)),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        milestones=[9 / 12, 11 / 12],
        gamma=0.1,
    ),
]
auto_scale_lr = dict(base_batch_size=32)
