"""HPM on MAE, ViT-S/16, 200 epochs on ImageNet-1K: see hpm_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/hpm_vits.py 8

Departs: the source has no ViT-S. Not run at full length.
"""

_base_ = 'hpm_vitb.py'
model = dict(backbone=dict(arch='small'))
