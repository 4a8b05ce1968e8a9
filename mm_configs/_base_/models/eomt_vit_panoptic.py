"""EoMT on a plain ViT-L/16 for objects and regions, on a 640 x 640 canvas."""

_base_ = './eomt_vit.py'
model = dict(
    data_preprocessor=dict(pad_seg=True, seg_pad_value=255),
    panoptic_head=dict(num_things_classes=80, num_stuff_classes=53),
    test_cfg=dict(panoptic_on=True, instance_on=False),
)
