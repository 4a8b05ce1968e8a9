"""AMT on SimMIM with ViT-B/16 at 224 px: of 49 squares 22 masked, 13 dropped.

At random and without throwing in the first epochs. Needs ImagesWithCropBox as the data
set and with ScoreRefreshHook.
"""

_base_ = 'simmim_vit.py'
model = dict(
    scorer=dict(type='StoredScorer', scorer=dict(type='NormalizedAttentionScorer')),
    sampler=dict(
        sampler=dict(
            type='SwitchSampler',
            begin=0.1,
            first=dict(type='RandomSampler'),
            first_ratio=0.6,
            then=dict(type='AMTSampler', throw_ratio=0.26),
        )
    ),
    mask_ratio=0.44,
)
