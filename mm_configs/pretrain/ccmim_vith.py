"""ccMIM, ViT-H/14, 800 epochs on ImageNet-1K: see ccmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vith.py 8

Half the batch of the others a GPU and twice the accumulation: 512 keys a step.
Not run at full length.
"""

_base_ = 'ccmim_vitb.py'
model = dict(backbone=dict(arch='huge', patch_size=14))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(accumulative_counts=8)
