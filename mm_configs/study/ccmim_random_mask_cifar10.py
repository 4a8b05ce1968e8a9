"""ccMIM with random masks: MAE with the contrast; CIFAR-10 at 32 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt_cifar10.py'
model = dict(
    scorer=dict(_delete_=True, type='ConstantScorer'),
    sampler=dict(type='RandomSampler'),
)
