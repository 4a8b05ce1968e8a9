"""Ablation: ccMIM with random masks, ViT-B/16; what importance scoring is worth.

tools/dist_train.sh mm_configs/pretrain/ccmim_vitb_random_mask.py 8
"""

_base_ = 'ccmim_vitb.py'
model = dict(
    scorer=dict(_delete_=True, type='ConstantScorer'),
    sampler=dict(type='RandomSampler'),
)
