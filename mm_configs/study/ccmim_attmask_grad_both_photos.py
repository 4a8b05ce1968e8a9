"""ccMIM with AttMask's masks, learning from both sides; photos at 128 px.

An arm of docs/study.md, which tools/study.py runs. The masked patches are those that
the last block attends to most, but for a twentieth of them.
"""

_base_ = '../small/ccmim_vitt.py'
model = dict(
    scorer=dict(blocks=[-1]),
    sampler=dict(type='TopKSampler', hint_ratio=0.05),
    contrast=dict(grad='both'),
)
