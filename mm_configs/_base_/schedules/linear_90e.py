"""MAE's linear probe: LARS, no weight decay, 10 epochs of warm-up, cosine to 0, 90.

Effective batch 16384 = 8 GPUs x 512 images x 4 accumulated steps.
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=90, val_interval=10)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    dtype='bfloat16',
    accumulative_counts=4,
    optimizer=dict(
        type='LARS',
        lr=0.1 * 16384 / 256,
        momentum=0.9,
        trust_coeff=0.001,
        weight_decay=0.0,
    ),
    constructor='LayerDecayOptimWrapperConstructor',
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        end=10 / 90,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        begin=10 / 90,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=16384)
