"""FLIP with ViT-Ti/4 at 32 px on sentences about the classes of CIFAR-10.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/flip_vitt_cifar10.py 1

The schedule of ccmim_vitt_cifar10.py. A batch has many photos of a class, so equal
sentences are no negatives. `python tools/zero_shot.py` measures it on the test images.
"""

_base_ = [
    '../_base_/models/flip_vit.py',
    '../_base_/datasets/cifar10_unlabelled.py',
    '../_base_/pretraining_cifar10.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(arch='tiny', img_size=32, patch_size=4),
    tokenizer=dict(num_words=256, context=16),
    text_tower=dict(embed_dim=128, depth=4, num_heads=4, out_dim=128, pool='average'),
)
custom_hooks = [dict(type='ccmim.VocabularyHook')]
_base_.train_dataloader.dataset.type = 'CaptionedImages'
_base_.train_dataloader.dataset.transform[0].scale = (0.5, 1.0)
