"""Faster ccMIM, ViT-B/16: two masks of each image for one scoring pass.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb_several_masks.py 8

A step learns from each image twice and costs 86 % of two plain steps by operations; it
keeps twice as much for the backward pass. So 400 epochs see as many masks as 800 of
ccmim_vitb.py; whether they are worth as much was not run by us.
"""

_base_ = 'ccmim_vitb.py'
model = dict(num_masks=2)
train_cfg = dict(max_epochs=400)
_base_.param_scheduler[0].end = 40 / 400
_base_.param_scheduler[1].begin = 40 / 400
