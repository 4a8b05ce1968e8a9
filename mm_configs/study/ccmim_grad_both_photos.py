"""ccMIM learning from both sides of the contrast; photos at 128 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = '../small/ccmim_vitt.py'
model = dict(contrast=dict(grad='both'))
