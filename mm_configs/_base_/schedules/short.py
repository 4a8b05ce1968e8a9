"""A short schedule for small data sets and CPUs; bf16 where the device computes in it.

The leaf sets its length in two lines: `train_cfg` and the end of the decay.
"""

max_iters = 300
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=100000)
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
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=0.0,
        by_epoch=False,
        begin=50,
        end=max_iters,
    ),
]
auto_scale_lr = dict(base_batch_size=4)
