"""ConMIM, ViT-S/16, 300 epochs on ImageNet-1K: see conmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/conmim_vits.py 8

Expected, from TencentARC/ConMIM: 82.0 top-1 fine-tuned. Not run at full length.
"""

_base_ = 'conmim_vitb.py'
model = dict(backbone=dict(arch='small'))
train_cfg = dict(max_epochs=300)
_base_.param_scheduler[0].end = 10 / 300
_base_.param_scheduler[1].begin = 10 / 300
