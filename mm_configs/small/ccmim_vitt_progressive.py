"""ccmim_vitt.py with images of 96, then 112, then 128 pixels.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/ccmim_vitt_progressive.py 1
"""

_base_ = 'ccmim_vitt.py'
model = dict(
    data_preprocessor=dict(
        type='ccmim.ProgressiveResize',
        schedule=[(0, 96), (14 / 40, 112), (27 / 40, 128)],
    )
)
