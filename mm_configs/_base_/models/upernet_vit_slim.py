"""UperNet on ViT-Ti/16 with slim heads, for whole images on a CPU."""

_base_ = './upernet_vit.py'
norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(
        arch='tiny',
        pos_embed='sincos',
        pos_resample='antialiased',
        drop_path_rate=0.0,
    ),
    neck=dict(norm_cfg=norm_cfg),
    decode_head=dict(channels=64, norm_cfg=norm_cfg),
    auxiliary_head=dict(channels=64, norm_cfg=norm_cfg),
    test_cfg=dict(_delete_=True, mode='whole'),
)
