"""ccmim_vitt.py with two masks of each image for one scoring pass.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/ccmim_vitt_several_masks.py 1
"""

_base_ = 'ccmim_vitt.py'
model = dict(num_masks=2)
