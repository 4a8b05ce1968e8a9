"""HPM on MAE, ViT-B/16, 200 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/hpm_vitb.py 8

Recipe: Haochen-Wang409/HPM, with the rate of MAE's. Expected, from its README: 83.0
top-1 fine-tuned and 42.1 mIoU (MAE after 200 epochs: 82.2 and 40.5). Not run by us at
full length. Effective batch 4096 = 8 GPUs x 512 images.
"""

_base_ = [
    '../_base_/models/hpm_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
train_dataloader = dict(batch_size=512)
train_cfg = dict(max_epochs=200)
optim_wrapper = dict(accumulative_counts=1)
_base_.param_scheduler[0].end = 40 / 200
_base_.param_scheduler[1].begin = 40 / 200
