"""SimMIM with structure-aware attention, ViT-Ti/16 at 128 px, on the small sets.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/simmim_vitt_lisa.py 1

The same data and schedule as simmim_vitt.py; LiSA's attention in every block.
"""

_base_ = 'simmim_vitt.py'
model = dict(backbone=dict(attention='lisa'))
