"""ViTDet's schedule: 100 epochs of COCO at batch 64, in iterations."""

max_iters = 184375  # 100 epochs * 118000 images / 64
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=5000)
optim_wrapper = dict(
    type='ccmim.AutocastOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(
        type='AdamW', fused=True, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.1
    ),
    constructor='ccmim.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        layer_decay=0.7,
        no_decay_by_shape=False,  # biases are decayed
        no_decay_names=('norm1', 'norm2', 'pos_embed'),
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, end=250 / max_iters),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        milestones=[163889 / max_iters, 177546 / max_iters],
        gamma=0.1,
    ),
]
auto_scale_lr = dict(base_batch_size=64)
