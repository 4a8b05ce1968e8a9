"""UperNet on a plain ViT-B/16 as mmseg's MAE recipe builds it, for 512 x 512 crops.

Sizes that are left out or None follow from the backbone's `arch` and `img_size`.
Departs from it in the backbone: no relative positions and no layer scale.
"""

custom_imports = dict(imports=['ccmim.dense.segmentor_heads'])
norm_cfg = dict(type='SyncBN', requires_grad=True)
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
        pos_resample='bicubic',
        out_indices=None,
        drop_path_rate=0.1,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    neck=dict(type='ccmim.MultiLevelPyramid', norm_cfg=norm_cfg),
    decode_head=dict(
        type='ccmim.UPerHead',
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=None,  # as wide as the backbone
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type='ccmim.FCNHead',
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', crop_size=None, stride=None),
)
