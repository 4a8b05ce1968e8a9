"""ccMIM with random masks: MAE with the contrast; photos at 128 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt.py'
model = dict(
    scorer=dict(_delete_=True, type='ConstantScorer'),
    sampler=dict(type='RandomSampler'),
)
