"""SimMIM with ViT-B/16 at 224 px: 30 of 49 squares of 32 px masked."""

_base_ = 'mae_vit.py'
model = dict(
    type='SimMIM',
    backbone=dict(drop_path_rate=0.1),
    sampler=dict(
        _delete_=True,
        type='UnitSampler',
        sampler=dict(type='RandomSampler'),
        unit_size=32,
        img_size=224,
        patch_size=16,
    ),
    mask_token=dict(type='MaskToken', dim=768),
    decoder=dict(_delete_=True, type='LinearHead', in_dim=768, out_dim=3 * 16 * 16),
    reconstruction=dict(norm_pix=False, error='absolute'),
    mask_ratio=0.6,
)
