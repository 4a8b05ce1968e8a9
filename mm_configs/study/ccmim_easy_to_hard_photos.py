"""ccMIM with masks from random to half most attended; photos at 128 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt.py'
model = dict(sampler=dict(type='EasyToHardSampler', first=0.0, last=0.5))
