"""ccMIM, ViT-B/16, 800 epochs on ImageNet-1K or on images of your own.

    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb.py 8
    tools/dist_train.sh mm_configs/pretrain/ccmim_vitb.py 8 --auto-scale-lr \
        --cfg-options train_dataloader.dataset.data=FOLDER

Recipe: ccMIM, README.md and models_ccmim.py. Expected: no figure is known. Departs:
batch norm of the projector over 128 images a process, not 32. Made for 8 GPUs (see the
schedule for batch and keys); with others, --auto-scale-lr. Not run at full length.
"""

_base_ = [
    '../_base_/models/ccmim_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(backbone=dict(weight_init='mae'))
