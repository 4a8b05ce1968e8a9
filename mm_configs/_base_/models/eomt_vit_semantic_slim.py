"""EoMT on ViT-Ti/16 for a class of each pixel, with fewer queries and points."""

_base_ = './eomt_vit_semantic.py'
model = dict(
    backbone=dict(arch='tiny', pos_embed='sincos'),
    decode_head=dict(num_queries=50),
    train_cfg=dict(num_points=3136),
    test_cfg=dict(_delete_=True, mode='whole'),
)
