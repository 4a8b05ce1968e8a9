"""MAE, ViT-S/16, 800 epochs on ImageNet-1K: see mae_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/mae_vits.py 8

Departs: the source has no ViT-S. Not run at full length.
"""

_base_ = 'mae_vitb.py'
model = dict(backbone=dict(arch='small'))
