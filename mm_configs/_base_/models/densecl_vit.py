"""DenseCL with ViT-B/16 at 224 px: 7 x 7 cells of 2 x 2 patches, MoCo v2's colors."""

_base_ = 'simclr_vit.py'
model = dict(
    type='DenseCL',
    perturbation=dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    projector=dict(_delete_=True, type='DenseProjection', hidden_dim=2048, out_dim=128),
    contrast=dict(_delete_=True, type='QueueContrast', length=65536, temperature=0.2),
    dense_contrast=dict(type='QueueContrast', length=65536, temperature=0.2),
    # interval: as accumulative_counts.
    teacher=dict(momentum=0.999, last_momentum=0.999, interval=1),
    cells=7,
    dense_weight=0.5,
    dense_begin=1000,
)
