"""FLIP with ViT-Ti/16 at 128 px on 900 photos of Flickr8k with five captions each.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/flip_vitt.py 1

The schedule of ccmim_vitt.py. `python tools/zero_shot.py` measures retrieval.
"""

_base_ = [
    '../_base_/models/flip_vit.py',
    '../_base_/datasets/flickr8k_1k.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=128),
    tokenizer=dict(num_words=2000),
    text_tower=dict(embed_dim=128, depth=4, num_heads=4, out_dim=128, pool='average'),
)
custom_hooks = [dict(type='ccmim.VocabularyHook')]
