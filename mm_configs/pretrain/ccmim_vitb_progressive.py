"""Faster ccMIM, ViT-B/16: images of 160, then 192, then 224 pixels, a third of it each.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb_progressive.py 8

Resized on the device; 75 % of the operations of ccmim_vitb.py. Changes the result. Not
run by us.
"""

_base_ = 'ccmim_vitb.py'
model = dict(
    data_preprocessor=dict(
        type='ccmim.ProgressiveResize',
        schedule=[(0, 160), (267 / 800, 192), (534 / 800, 224)],
    )
)
