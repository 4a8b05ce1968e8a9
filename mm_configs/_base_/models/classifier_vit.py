"""A classifier on ViT-B/16 at 224 px, as MAE fine-tunes it.

The average of the patches, a norm after it in place of the backbone's, and a last
layer that begins near zero.
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
        pos_embed='learned',
        drop_path_rate=0.1,
        final_norm=False,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    pool='average',
    head=dict(type='ClassHead', num_classes=1000, norm='layer', init_std=2e-5),
    mixing=dict(
        type='BatchMixing', mixup=0.8, cutmix=1.0, label_smoothing=0.1, erase_prob=0.25
    ),
)
