"""A short fine-tuning for small data: AdamW, layer decay, a tenth warms up, cosine."""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=10, val_interval=5)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    dtype='auto',
    optimizer=dict(
        type='AdamW', fused=True, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05
    ),
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay=0.75),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-2,
        end=0.1,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        begin=0.1,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=128)
