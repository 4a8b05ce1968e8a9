"""HPM on MAE with ViT-B/16 at 224 px; at the end half of the masked are the hardest."""

_base_ = 'mae_vit.py'
model = dict(
    type='HPM',
    predictor=dict(type='HardnessPredictor', embed_dim=512, depth=8, num_heads=16),
    # interval: as accumulative_counts.
    teacher=dict(momentum=0.999, last_momentum=0.9999, interval=1),
    sampler=dict(type='EasyToHardSampler', first=0.0, last=0.5),
    ranking=dict(type='HardnessRanking'),
)
_base_.model.pop('scorer')
