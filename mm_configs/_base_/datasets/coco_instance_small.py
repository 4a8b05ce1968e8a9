"""Instances in COCO's layout with scale jitter (0.5 to 1.5) on a square canvas.

A leaf names the folders, the annotation files and the classes.
"""

_base_ = './instance_lsj.py'
_base_.train_pipeline[3].update(ratio_range=(0.5, 1.5))
_base_.tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=part, keep_ratio=True) for part in (0.75, 1.0)
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
