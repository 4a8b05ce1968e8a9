"""ccMIM with ViT-Ti/16 at 128 px on the training photos of all small sets.

CCMIM_DATA=data tools/dist_train.sh mm_configs/small/ccmim_vitt.py 1
"""

_base_ = [
    '../_base_/models/ccmim_vit.py',
    '../_base_/datasets/small_photos.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=128),
    decoder=dict(embed_dim=128, depth=2, num_heads=4),
)
