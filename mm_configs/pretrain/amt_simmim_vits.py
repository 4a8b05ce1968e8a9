"""AMT on SimMIM, ViT-S/16, 200 epochs on ImageNet-1K: see amt_simmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/amt_simmim_vits.py 8

Departs: the source has no ViT-S. Not run at full length.
"""

_base_ = 'amt_simmim_vitb.py'
model = dict(backbone=dict(arch='small'))
