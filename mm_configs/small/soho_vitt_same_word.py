"""SOHO with its masks, ViT-Ti/16 at 128 px: all patches of a word go together.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/soho_vitt_same_word.py 1
"""

_base_ = 'soho_vitt.py'
model = dict(scorer=None, sampler=dict(_delete_=True, type='SameScoreSampler'))
