"""HPM on MAE with ViT-Ti/16 at 128 px on the training photos of all small sets.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/hpm_vitt.py 1

The same data, schedule and sizes as mae_vitt.py; a faster teacher, as there are
fewer steps.
"""

_base_ = [
    '../_base_/models/hpm_vit.py',
    '../_base_/datasets/small_photos.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=128),
    predictor=dict(embed_dim=128, depth=2, num_heads=4),
    teacher=dict(momentum=0.99),
    decoder=dict(embed_dim=128, depth=2, num_heads=4),
)
