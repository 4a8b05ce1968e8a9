"""Ablation: MAE with ccMIM's masks, ViT-B/16; what the contrast is worth.

tools/dist_train.sh mm_configs/pretrain/ccmim_vitb_no_contrast.py 8
"""

_base_ = 'mae_vitb.py'
model = dict(
    scorer=dict(type='ClassAttentionScorer'),
    sampler=dict(type='CCMIMSampler'),
)
