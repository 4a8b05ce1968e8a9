r"""MaskDistill starts from the weights of a ViT-S/14, which teach it too.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/maskdistill_vits14_adapt.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE \
        model.teacher.checkpoint=FILE

As mae_vits14_adapt.py: the same photos, rates and anchor. See docs/results.md.
"""

_base_ = 'mae_vits14_adapt.py'
model = dict(
    type='MaskDistill',
    teacher=dict(
        type='ViTTeacher',
        backbone=dict(
            type='VisionTransformer',
            arch='small',
            patch_size=14,
            pos_embed='learned',
            layer_scale_init=1.0,
        ),
        checkpoint=None,
    ),
    sampler=dict(_delete_=True, type='BlockSampler'),
    mask_token=dict(type='MaskToken'),
    decoder=dict(_delete_=True, type='LinearHead'),
    distillation=dict(type='FeatureDistillation', beta=1.0),
    mask_ratio=0.4,
)
_base_.model.pop('reconstruction')
