"""ccmim_vitt.py with CrossMAE's decoder and a quarter of the masked patches predicted.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/ccmim_vitt_cross.py 1
"""

_base_ = 'ccmim_vitt.py'
model = dict(decoder=dict(type='CrossDecoder'), decoded_ratio=0.25)
