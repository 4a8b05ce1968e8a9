"""ccMIM with 60 per cent of the patches masked; CIFAR-10 at 32 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt_cifar10.py'
model = dict(mask_ratio=0.6)
