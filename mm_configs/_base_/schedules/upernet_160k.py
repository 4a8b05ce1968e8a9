"""The schedule of MAE's UperNet recipe: 160k iterations at batch 16."""

train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
optim_wrapper = dict(
    type='ccmim.AutocastOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(
        type='AdamW', fused=True, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05
    ),
    constructor='ccmim.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay=0.65, no_decay_names=()),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, end=1500 / 160000),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=0.0,
        by_epoch=False,
        begin=1500 / 160000,
    ),
]
auto_scale_lr = dict(base_batch_size=16)
