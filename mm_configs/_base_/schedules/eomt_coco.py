"""EoMT's schedule on COCO: 12 epochs at batch 16, in iterations."""

_base_ = './eomt.py'
epoch = 7391
warm, both = 500 / (12 * epoch), 1500 / (12 * epoch)
_base_.param_scheduler[0].end = warm
_base_.param_scheduler[1].begin = warm
_base_.param_scheduler[2].end = warm
_base_.param_scheduler[3].update(begin=warm, end=both)
_base_.param_scheduler[4].begin = both
train_cfg = dict(max_iters=12 * epoch, val_interval=epoch)
