"""ADE20K with the long side scaled (0.5 to 2) to 512 px, and crops as they fall."""

_base_ = './ade20k.py'
_base_.train_pipeline[2].scale = None
_base_.train_pipeline[3].cat_max_ratio = 1.0
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline))
