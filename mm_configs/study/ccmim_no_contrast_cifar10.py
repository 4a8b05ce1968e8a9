"""ccMIM without its contrast: MAE with ccMIM's masks; CIFAR-10 at 32 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/mae_vitt_cifar10.py'
model = dict(
    scorer=dict(type='ClassAttentionScorer'), sampler=dict(type='CCMIMSampler')
)
