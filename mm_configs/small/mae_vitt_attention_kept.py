"""MAE that keeps what is attended, as MILAN does, ViT-Ti/16 at 128 px.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/mae_vitt_attention_kept.py 1
"""

_base_ = 'mae_vitt.py'
model = dict(
    scorer=dict(type='ClassAttentionScorer', blocks=[-1]),
    sampler=dict(type='MILANSampler'),
)
