"""SOHO's words with ViT-Ti/16 at 128 px on the training photos of all small sets.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/soho_vitt.py 1

The same data and schedule as ccmim_vitt.py, with fewer words and a narrower projector.
"""

_base_ = [
    '../_base_/models/soho_vit.py',
    '../_base_/datasets/small_photos.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=128),
    projector=dict(hidden_dim=512),
    dictionary=dict(num_codes=256),
)
