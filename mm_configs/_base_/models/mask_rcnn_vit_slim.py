"""Mask R-CNN on ViT-Ti/16 with slim heads, for a 384 x 384 canvas and a CPU.

Global attention, fixed positions, 128 channels, fewer proposals and samples, and four
points a bin of RoIAlign, whose backward pass is else a quarter of a step on a CPU. The
pyramid's input is standardised: else the offset that the tokens of a pretrained ViT
share hides what tells them apart for longer than a short schedule lasts.
"""

_base_ = './mask_rcnn_vit.py'
extractor = dict(roi_layer=dict(sampling_ratio=2))
model = dict(
    backbone=dict(
        arch='tiny',
        img_size=384,
        pos_embed='sincos',
        pos_resample='antialiased',
        pos_size=None,
        window_size=0,
        global_blocks=(),
        drop_path_rate=0.0,
    ),
    neck=dict(
        out_channels=128,
        input_norm_cfg=dict(type='SyncBN', affine=False),
    ),
    rpn_head=dict(feat_channels=128, num_convs=1),
    roi_head=dict(
        bbox_roi_extractor=extractor,
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            fc_out_channels=256,
            norm_cfg=None,
        ),
        mask_roi_extractor=extractor,
        mask_head=dict(num_convs=2, conv_out_channels=128),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=250),
        rcnn=dict(assigner=dict(match_low_quality=True), sampler=dict(num=128)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=250)),
)
