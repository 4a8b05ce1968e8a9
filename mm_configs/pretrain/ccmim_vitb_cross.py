"""Faster ccMIM, ViT-B/16: a quarter of the masked patches predicted, by CrossMAE's way.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb_cross.py 8

The decoder's masked tokens look at the visible ones alone. Changes the result; CrossMAE
(https://arxiv.org/abs/2401.14391) reports MAE's accuracy with it. Not run by us.
"""

_base_ = 'ccmim_vitb.py'
model = dict(decoder=dict(type='CrossDecoder'), decoded_ratio=0.25)
