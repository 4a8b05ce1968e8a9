"""A short pretraining for small data: AdamW, a tenth of warm-up, cosine to 0."""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=40)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    dtype='auto',
    optimizer=dict(
        type='AdamW', fused=True, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05
    ),
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(no_decay_names=()),
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
auto_scale_lr = dict(base_batch_size=64)
