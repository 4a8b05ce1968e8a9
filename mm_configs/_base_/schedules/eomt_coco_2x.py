"""EoMT's longer schedule on COCO: 24 epochs."""

_base_ = './eomt_coco.py'
epoch = 7391
warm, both = 500 / (24 * epoch), 1500 / (24 * epoch)
_base_.param_scheduler[0].end = warm
_base_.param_scheduler[1].begin = warm
_base_.param_scheduler[2].end = warm
_base_.param_scheduler[3].update(begin=warm, end=both)
_base_.param_scheduler[4].begin = both
train_cfg = dict(max_iters=24 * epoch)
