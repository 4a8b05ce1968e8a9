"""ConMIM, ViT-Ti/4 at 32 px, whose keys have other photos' colors as well.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/conmim_vitt_cifar10_style.py 1

After DRIT (https://arxiv.org/abs/1808.00948): each image of a key is changed in color
as in conmim_vitt_cifar10.py, then takes mean and spread of its channels from another.
"""

_base_ = 'conmim_vitt_cifar10.py'
model = dict(
    perturbation=[dict(type='ColorPerturbation'), dict(type='StylePerturbation')]
)
