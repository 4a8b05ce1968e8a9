"""ccMIM with ViT-B/16 at 224 px, as the published code computes it.

Its odd choices, each a switch: which blocks score and in which direction of attention
(scorer), how scores become a mask (sampler: GumbelSampler, MultinomialSampler,
TopKSampler, RandomSampler), and the contrast's projector, temperature and gradient.
"""

_base_ = 'mae_vit.py'
model = dict(
    type='CCMIM',
    scorer=dict(type='ClassAttentionScorer', blocks='all', direction='row'),
    sampler=dict(type='CCMIMSampler'),
    contrast=dict(
        type='SingleViewContrast',
        out_dim=256,
        temperature=0.5,
        grad='visible',
        batch_norm='local',
        projector=True,
    ),
    contrast_weight=0.1,
)
