"""A short fine-tuning for small data: AdamW, layer decay, 1 epoch of warm-up, cosine.

The leaf sets its length in three lines: `train_cfg`, `T_max` and `end` of the decay.
"""

epochs = 10
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=5)
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
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        T_max=epochs - 1,
        eta_min=0.0,
        begin=1,
        end=epochs,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=128)
