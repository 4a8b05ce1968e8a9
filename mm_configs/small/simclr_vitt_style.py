"""SimCLR, ViT-Ti/16 at 128 px, whose views have other photos' colors as well.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/simclr_vitt_style.py 1

See conmim_vitt_style.py.
"""

_base_ = 'simclr_vitt.py'
model = dict(
    perturbation=[dict(type='ColorPerturbation'), dict(type='StylePerturbation')]
)
