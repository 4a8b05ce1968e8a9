"""The recipe of MAE and ccMIM: AdamW, 40 epochs of warm-up, cosine to 0, 800 epochs.

Effective batch 4096 = 8 GPUs x 128 images x 4 accumulated steps. The contrast has
8 x 128 = 1024 keys a step, as in the published runs (32 GPUs x 32 images).
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=800)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    dtype='bfloat16',
    accumulative_counts=4,
    optimizer=dict(
        type='AdamW',
        fused=True,
        lr=1.5e-4 * 4096 / 256,
        betas=(0.9, 0.95),
        weight_decay=0.05,
    ),
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(no_decay_names=()),  # norms and biases only, as in MAE
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        end=40 / 800,  # a fraction of the run, whatever its length
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min=0.0,
        begin=40 / 800,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=4096)
