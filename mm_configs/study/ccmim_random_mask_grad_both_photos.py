"""ccMIM with random masks, learning from both sides of the contrast; photos at 128 px.

An arm of docs/study.md, which tools/study.py runs.
"""

_base_ = './ccmim_random_mask_photos.py'
model = dict(contrast=dict(grad='both'))
