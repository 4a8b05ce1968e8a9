"""MaskDistill with ViT-B/16 at 224 px: CLIP's features at 40 % of the patches."""

_base_ = 'simmim_vit.py'
model = dict(
    type='MaskDistill',
    # Give the file of its weights (model.teacher.checkpoint), or let timm download it
    # (model.teacher.pretrained=True). A run of ours: type='ViTTeacher', backbone=...
    teacher=dict(
        type='TimmTeacher',
        model='vit_base_patch16_clip_224.openai',
        checkpoint=None,
        pretrained=False,
    ),
    sampler=dict(_delete_=True, type='BlockSampler'),
    decoder=dict(_delete_=True, type='LinearHead'),
    distillation=dict(type='FeatureDistillation', beta=1.0),
    mask_ratio=0.4,
)
_base_.model.pop('reconstruction')
