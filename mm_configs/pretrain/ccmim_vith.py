"""ccMIM, ViT-H/14, 800 epochs on ImageNet-1K: see ccmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vith.py 8

Recipe: as ccmim_vitb.py. Expected: no figure is known. Departs: 512 keys a step. Not
run at full length.
"""

_base_ = 'ccmim_vitb.py'
model = dict(backbone=dict(arch='huge', patch_size=14))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(accumulative_counts=8)
