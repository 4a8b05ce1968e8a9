"""A short schedule for small data and CPUs; bf16 where the device computes in it."""

train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=100000)
optim_wrapper = dict(
    type='ccmim.AutocastOptimWrapper',
    dtype='auto',
    optimizer=dict(
        type='AdamW', fused=True, lr=5e-4, betas=(0.9, 0.999), weight_decay=0.05
    ),
    clip_grad=dict(max_norm=10.0),
    constructor='ccmim.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay=0.85),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, end=50 / 300),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=0.0,
        by_epoch=False,
        begin=50 / 300,
    ),
]
auto_scale_lr = dict(base_batch_size=4)
