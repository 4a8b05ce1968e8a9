"""Instances in COCO's layout with scale jitter (0.5 to 1.5) on a 384 x 384 canvas.

A leaf names the folders, the annotation files and the classes.
"""

_base_ = './instance_lsj.py'
image_size = (384, 384)
_base_.train_pipeline[3].update(scale=image_size, ratio_range=(0.5, 1.5))
_base_.train_pipeline[4].update(crop_size=image_size)
_base_.test_pipeline[1].update(scale=image_size)
_base_.tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(side, side), keep_ratio=True) for side in (288, 384)
]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CocoDataset', test_mode=True, pipeline=_base_.test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', metric=['bbox', 'segm'])
test_evaluator = val_evaluator
