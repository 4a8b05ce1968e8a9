"""Relational distillation with ViT-B/16 at 224 px from any frozen network."""

_base_ = 'mae_vit.py'
model = dict(
    type='RelationalDistill',
    # Of the weights, which say all else: a file, a folder, timm:NAME or hf:OWNER/NAME.
    teacher=dict(
        type='ViTTeacher',
        backbone=dict(type='VisionTransformer', arch='base', patch_size=16),
        checkpoint=None,
    ),
    perturbation=dict(
        type='ColorPerturbation',
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        jitter_prob=0.8,
        gray_prob=0.2,
        blur_prob=0.0,
        solarize_prob=0.0,
    ),
    projector=dict(type='LinearHead'),
    patches=dict(type='PatchRelations', temperature=0.07),
    photos=dict(type='QueueRelations', length=8192, temperature=0.07),
    mix=True,
)
for part in ('scorer', 'sampler', 'decoder', 'reconstruction', 'mask_ratio'):
    _base_.model.pop(part)
