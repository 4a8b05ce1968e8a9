"""EoMT's schedule for small data and CPUs: 300 steps in place of 39,000 and more.

The rate is five times the published one, as queries and heads begin at random and have
few steps: on CamVid from the weights of a real ViT-S (96 x 128 px, batch 2, 80 steps)
the loss fell from 46 and 49 after ten steps to 23.1 and 24.8 after sixty at 5e-4 and
2e-4. Norms of the gradient are in the hundreds, so clipping makes all steps of one
length, at 1.0 as at the published 0.01: AdamW does not feel the difference.
"""

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
