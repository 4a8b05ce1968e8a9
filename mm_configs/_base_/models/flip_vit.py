"""FLIP with ViT-B/16 at 224 px: half of the patches are left out."""

model = dict(
    type='FLIP',
    data_preprocessor=dict(
        type='ImgDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(type='VisionTransformer', arch='base', img_size=224, patch_size=16),
    scorer=dict(type='ConstantScorer'),
    sampler=dict(type='RandomSampler'),
    # file: vocab.txt, tokenizer.json or hf:OWNER/NAME; None makes one of the captions.
    tokenizer=dict(type='WordPieces', num_words=30522, context=32, file=None),
    text_tower=dict(
        type='TextTower', embed_dim=512, depth=12, num_heads=8, out_dim=512
    ),
    contrast=dict(type='ImageTextContrast'),
    mask_ratio=0.5,
)
