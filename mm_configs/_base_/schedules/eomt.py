"""EoMT's schedule on ADE20K: 31 epochs at batch 16, in iterations.

First the queries and heads warm up, with the ViT all but still, then the ViT.
"""

max_iters = 39120
warm, both = 500 / max_iters, 1500 / max_iters  # ends of the two
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=3912)
optim_wrapper = dict(
    type='ccmim.AutocastOptimWrapper',
    dtype='bfloat16',
    optimizer=dict(
        type='AdamW', fused=True, lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05
    ),
    clip_grad=dict(max_norm=0.01),
    constructor='ccmim.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        layer_decay=0.8,
        # The last block and the final norm at the full rate.
        lr_mult={'backbone': 1.25, 'backbone.norm': 1.0},
        no_decay_by_shape=False,
        no_decay_names=(),
        parts=('backbone',),
    ),
)
new, vit = dict(by_epoch=False, part='rest'), dict(by_epoch=False, part='backbone')
param_scheduler = [
    dict(type='ccmim.PartLinearLR', start_factor=1e-4, end=warm, **new),
    dict(type='ccmim.PartPolyLR', power=0.9, eta_min=0.0, begin=warm, **new),
    dict(type='ccmim.PartConstantLR', factor=1e-4, end=warm, **vit),
    dict(type='ccmim.PartLinearLR', start_factor=1e-4, begin=warm, end=both, **vit),
    dict(type='ccmim.PartPolyLR', power=0.9, eta_min=0.0, begin=both, **vit),
]
auto_scale_lr = dict(base_batch_size=16)
