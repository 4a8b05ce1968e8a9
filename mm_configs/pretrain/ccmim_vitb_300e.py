"""ccMIM, ViT-B/16, 300 epochs on ImageNet-1K: see ccmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb_300e.py 8

Not run at full length.
"""

_base_ = 'ccmim_vitb.py'
train_cfg = dict(max_epochs=300)
_base_.param_scheduler[0].end = 40 / 300
_base_.param_scheduler[1].begin = 40 / 300
