"""MAE with block-wise masks, ViT-Ti/16 at 128 px.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/mae_vitt_blocks.py 1
"""

_base_ = 'mae_vitt.py'
model = dict(sampler=dict(type='BlockSampler', min_area=4))
