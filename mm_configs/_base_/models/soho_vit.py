"""SOHO's visual words with ViT-B/16 at 224 px: 37 of 49 squares of 32 px masked."""

_base_ = 'simmim_vit.py'
model = dict(
    type='SOHO',
    backbone=dict(drop_path_rate=0.0),
    projector=dict(type='ProjectionHead', hidden_dim=4096, num_layers=3),
    dictionary=dict(type='VisualDictionary', num_codes=2048),
    teacher=dict(momentum=0.996, interval=1),  # interval: as accumulative_counts
    mask_ratio=0.75,
)
_base_.model.pop('decoder')
_base_.model.pop('reconstruction')
