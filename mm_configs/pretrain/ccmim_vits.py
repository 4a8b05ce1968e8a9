"""ccMIM, ViT-S/16, 800 epochs on ImageNet-1K: see ccmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vits.py 8

Not run at full length.
"""

_base_ = 'ccmim_vitb.py'
model = dict(backbone=dict(arch='small'))
