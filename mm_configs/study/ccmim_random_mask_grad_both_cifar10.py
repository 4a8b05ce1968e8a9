"""ccMIM with random masks, learning from both sides of the contrast; CIFAR-10 at 32 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = './ccmim_random_mask_cifar10.py'
model = dict(contrast=dict(grad='both'))
