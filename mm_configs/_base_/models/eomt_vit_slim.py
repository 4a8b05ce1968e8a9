"""EoMT on ViT-Ti/16 for instances, with fewer queries and points, for a CPU."""

_base_ = './eomt_vit.py'
model = dict(
    backbone=dict(arch='tiny', img_size=384, pos_embed='sincos'),
    panoptic_head=dict(num_queries=50),
    train_cfg=dict(num_points=3136),
)
