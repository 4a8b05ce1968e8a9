"""ccMIM, ViT-B/16, 800 epochs on ImageNet-1K or on images of your own.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb.py 8
    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb.py 8 --auto-scale-lr \
        --cfg-options train_dataloader.dataset.data=FOLDER

Recipe: README and code of Sherrylone/ccMIM. Expected figure: none is known to us, the
published repository gives none. Not run at full length. Made for 8 GPUs (see the
schedule for batch and keys); with others, --auto-scale-lr.
"""

_base_ = [
    '../_base_/models/ccmim_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(backbone=dict(weight_init='mae'))
