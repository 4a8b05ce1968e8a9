"""SimCLR, ViT-Ti/4 at 32 px, whose views have other photos' colors as well.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/simclr_vitt_cifar10_style.py 1

See conmim_vitt_cifar10_style.py.
"""

_base_ = 'simclr_vitt_cifar10.py'
model = dict(
    perturbation=[dict(type='ColorPerturbation'), dict(type='StylePerturbation')]
)
