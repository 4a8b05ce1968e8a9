"""AMT on MAE, ViT-S/16, 400 epochs on ImageNet-1K: see amt_mae_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/amt_mae_vits.py 8

Departs: the source has no ViT-S. Not run at full length.
"""

_base_ = 'amt_mae_vitb.py'
model = dict(backbone=dict(arch='small'))
