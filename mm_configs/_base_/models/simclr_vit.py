"""SimCLR with ViT-B/16 at 224 px: the published colors, projection and temperature."""

_base_ = 'mae_vit.py'
model = dict(
    type='SimCLR',
    perturbation=dict(
        type='ColorPerturbation',
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        jitter_prob=0.8,
        gray_prob=0.2,
        blur_prob=0.5,
        solarize_prob=0.0,
    ),
    projector=dict(type='ProjectionHead', hidden_dim=2048, out_dim=128, num_layers=2),
    contrast=dict(type='TwoViewContrast', temperature=0.1),
)
for part in ('scorer', 'sampler', 'decoder', 'reconstruction', 'mask_ratio'):
    _base_.model.pop(part)
