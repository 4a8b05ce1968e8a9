"""SimMIM, ViT-S/16, 800 epochs on ImageNet-1K: see simmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/simmim_vits.py 8

Departs: the source has no ViT-S. Not run at full length.
"""

_base_ = 'simmim_vitb.py'
model = dict(backbone=dict(arch='small'))
