"""MAE's fine-tuning of ViT-B: AdamW, layer decay, 5 epochs of warm-up, cosine, 100.

Effective batch 1024 = 8 GPUs x 128 images.
"""

base_lr = 5e-4 * 1024 / 256
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=100, val_interval=5)
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(
        type='AdamW', fused=True, lr=base_lr, betas=(0.9, 0.999), weight_decay=0.05
    ),
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay=0.65),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        end=5 / 100,
        convert_to_iter_based=True,
    ),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=1e-6 / base_lr,  # of each depth's rate
        begin=5 / 100,
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=1024)
