"""ViTDet's schedule: 100 epochs of COCO at batch 64, in iterations."""

max_iters = 184375  # 100 epochs * 118000 images / 64
interval = 5000
train_cfg = dict(
    type='IterBasedTrainLoop',
    max_iters=max_iters,
    val_interval=interval,
    # From the last multiple of the interval on, validate at the very end only.
    dynamic_intervals=[(max_iters // interval * interval + 1, max_iters)],
)
optim_wrapper = dict(
    type='ccmim.AutocastOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(
        type='AdamW', fused=True, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1
    ),
    constructor='ccmim.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay=0.7),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[163889, 177546],
        gamma=0.1,
    ),
]
auto_scale_lr = dict(base_batch_size=64)
