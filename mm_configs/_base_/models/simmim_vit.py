"""SimMIM with ViT-B/16 at 224 px: 30 of 49 squares of 32 px masked."""

_base_ = 'mae_vit.py'
model = dict(
    type='SimMIM',
    backbone=dict(drop_path_rate=0.1),
    sampler=dict(
        _delete_=True,
        type='MaskUnitSampler',
        sampler=dict(type='RandomSampler'),
        unit_size=32,
    ),
    mask_token=dict(type='MaskToken'),
    decoder=dict(_delete_=True, type='LinearHead'),
    reconstruction=dict(norm_pix=False, error='absolute'),
    mask_ratio=0.6,
)
