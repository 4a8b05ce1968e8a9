"""MAE with ViT-B/16 at 224 px."""

model = dict(
    type='MAE',
    data_preprocessor=dict(
        type='ImgDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(type='VisionTransformer', arch='base', img_size=224, patch_size=16),
    scorer=dict(type='ConstantScorer'),
    sampler=dict(type='RandomSampler'),
    decoder=dict(type='MAEDecoder', embed_dim=512, depth=8, num_heads=16),
    reconstruction=dict(type='PixelReconstruction', norm_pix=True),
    mask_ratio=0.75,
)
