"""ccMIM with the most attended patches masked but a twentieth; CIFAR-10 at 32 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt_cifar10.py'
model = dict(sampler=dict(type='TopKSampler', hint_ratio=0.05))
