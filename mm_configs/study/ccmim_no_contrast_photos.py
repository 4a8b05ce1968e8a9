"""ccMIM without its contrast: MAE with ccMIM's masks; photos at 128 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/mae_vitt.py'
model = dict(
    scorer=dict(type='ClassAttentionScorer'), sampler=dict(type='CCMIMSampler')
)
