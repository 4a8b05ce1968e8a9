"""AMT on MAE with ViT-B/16 at 224 px: 45 % masked, 40 % dropped, 15 % shown.

At random and without throwing in the first epochs. Needs ImagesWithCropBox as the data
set and with ScoreRefreshHook.
"""

_base_ = 'mae_vit.py'
model = dict(
    scorer=dict(type='StoredScorer', scorer=dict(type='NormalizedAttentionScorer')),
    sampler=dict(
        type='SwitchSampler',
        begin=0.1,
        first=dict(type='RandomSampler'),
        first_ratio=0.75,
        then=dict(type='AMTSampler', throw_ratio=0.4),
    ),
    mask_ratio=0.45,
)
