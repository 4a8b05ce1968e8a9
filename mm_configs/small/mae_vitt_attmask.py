"""MAE with AttMask's masks, ViT-Ti/16 at 128 px: what is attended most, with hints.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/mae_vitt_attmask.py 1

The last block of the network itself scores, where the paper has a momentum copy.
"""

_base_ = 'mae_vitt.py'
model = dict(
    scorer=dict(type='ClassAttentionScorer', blocks=[-1]),
    sampler=dict(type='TopKSampler', hint_ratio=0.05, hint_pool=0.1),
)
