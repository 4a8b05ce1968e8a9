"""MAE, ViT-B/16, 800 epochs on ImageNet-1K: the baseline of every claim.

    tools/dist_train.sh mm_configs/pretrain/mae_vitb.py 8

Recipe: MAE, PRETRAIN.md. Expected: 83.3 top-1 fine-tuned (mmpretrain,
configs/mae/README.md: its own training of 800 epochs and its own fine-tuning; the
authors publish ViT-B after 1600 alone). The baseline of every claim. Not run by us at
full length. Effective batch 4096 = 8 GPUs x 512 images.
"""

_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(backbone=dict(weight_init='mae'))
train_dataloader = dict(batch_size=512)
optim_wrapper = dict(accumulative_counts=1)
