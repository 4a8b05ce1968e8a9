"""COCO instances with large-scale jitter (0.1 to 2) on the model's canvas, batch 16."""

_base_ = './coco_instance_lsj.py'
train_dataloader = dict(batch_size=2)
