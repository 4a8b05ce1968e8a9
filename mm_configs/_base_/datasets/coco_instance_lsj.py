"""COCO instances with large-scale jitter (0.1 to 2) on a 1024 x 1024 canvas."""

_base_ = ['./coco_instance.py', './instance_lsj.py']
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
