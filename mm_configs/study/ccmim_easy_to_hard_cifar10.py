"""ccMIM with masks from random to half most attended; CIFAR-10 at 32 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt_cifar10.py'
model = dict(sampler=dict(type='EasyToHardSampler', first=0.0, last=0.5))
