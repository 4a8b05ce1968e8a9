"""A linear probe of a frozen ViT-B/16 at 224 px, as MAE and MoCo v3 do it.

The class token, a batch norm without parameters, and a linear layer.
"""

model = dict(
    type='Classifier',
    data_preprocessor=dict(
        type='ImgDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(
        type='VisionTransformer',
        arch='base',
        img_size=224,
        patch_size=16,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    frozen=True,
    pool='class',
    head=dict(type='ClassHead', num_classes=1000, norm='batch', init_std=0.01),
)
