"""A linear classifier on the last map of a frozen ViT-B/16, for 512 x 512 crops."""

custom_imports = dict(imports=['ccmim.dense.linear_seg_head'])
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=None,
    ),
    backbone=dict(
        type='ccmim.VisionTransformer',
        arch='base',
        img_size=512,
        pos_embed='learned',
        out_indices=None,
        out_norm=True,
        frozen_stages=12,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    decode_head=dict(
        type='ccmim.LinearSegHead',
        num_classes=150,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=None, stride=None),
)
