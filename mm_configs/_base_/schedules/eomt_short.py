"""EoMT's schedule for small data and CPUs, with a rate that moves in few steps."""

_base_ = './eomt.py'
warm, both = 25 / 300, 75 / 300
_base_.param_scheduler[0].end = warm
_base_.param_scheduler[1].begin = warm
_base_.param_scheduler[2].end = warm
_base_.param_scheduler[3].update(begin=warm, end=both)
_base_.param_scheduler[4].begin = both
train_cfg = dict(max_iters=300, val_interval=100000)
optim_wrapper = dict(
    dtype='auto',
    optimizer=dict(lr=5e-4),
    clip_grad=dict(max_norm=1.0),
)
auto_scale_lr = dict(base_batch_size=4)
