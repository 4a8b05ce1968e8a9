"""HPM on MAE, ViT-B/16, 200 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/hpm_vitb.py 8

Recipe: HPM, PRETRAIN.md and models_mae_learn_loss.py. Expected: 83.0 top-1 fine-tuned,
42.1 mIoU on ADE20K, 82.2 top-1 of MAE after 200 epochs, 40.5 mIoU of MAE after 200
epochs (HPM, README.md). Departs: a predictor with an embedding and a mask token of its
own. Not run by us at full length. Effective batch 2048 = 8 GPUs x 256 images.
"""

_base_ = [
    '../_base_/models/hpm_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(
    backbone=dict(weight_init='mae'),
    reconstruction=dict(norm_pix=False),
    predictor=dict(out_dim=768),
    sampler=dict(by_epoch=True),
    teacher=dict(rise_epochs=100 / 200),
)
train_dataloader = dict(batch_size=256)
train_cfg = dict(max_epochs=200)
optim_wrapper = dict(accumulative_counts=1, optimizer=dict(lr=1.5e-4 * 2048 / 256))
_base_.param_scheduler[0].end = 40 / 200
_base_.param_scheduler[1].begin = 40 / 200
auto_scale_lr = dict(base_batch_size=2048)
