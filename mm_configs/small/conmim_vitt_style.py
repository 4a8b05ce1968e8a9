"""ConMIM, ViT-Ti/16 at 128 px, whose keys have other photos' colors as well.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/conmim_vitt_style.py 1

After DRIT (https://arxiv.org/abs/1808.00948): each photo of a key is changed in color
as in conmim_vitt.py, then takes mean and spread of its channels from another photo.
"""

_base_ = 'conmim_vitt.py'
model = dict(
    perturbation=[dict(type='ColorPerturbation'), dict(type='StylePerturbation')]
)
