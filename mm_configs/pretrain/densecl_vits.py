"""DenseCL, ViT-S/16, 300 epochs on ImageNet-1K: see densecl_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/densecl_vits.py 8

Departs: 6 heads, where MoCo v3's ViT-S has 12. Not run at full length.
"""

_base_ = 'densecl_vitb.py'
model = dict(backbone=dict(arch='small'))
