"""ccMIM with patches masked in proportion to their attention; CIFAR-10 at 32 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt_cifar10.py'
model = dict(sampler=dict(type='GumbelSampler', temperature=1.0))
