"""AMT on MAE, ViT-B/16, 400 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/amt_mae_vitb.py 8

Recipe: AMT, mae-AMT/main_pretrain.py and models_mae.py. Expected: 2.9 to 5.9 points
over MAE in linear probes of five data sets (AMT, abstract of
https://arxiv.org/abs/2211.15362: no figure by itself is known to us). Departs: shares
of the method's defaults, 0.45 masked and 0.40 dropped; 89 patches masked and 29
shown, not 88 and 30; maps cut where the image is; whole photos resized by bicubic
interpolation, not bilinear. Not run by us at full length. Effective batch 4096 = 8 GPUs
x 512 images; the maps take 256 MB a GPU and a checkpoint.
"""

_base_ = [
    '../_base_/models/amt_mae_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(
    backbone=dict(weight_init='mae'),
    reconstruction=dict(norm_pix=False),
    sampler=dict(begin=41 / 400),
)
train_dataloader = dict(
    batch_size=512,
    dataset=dict(
        type='ImagesWithCropBox',
        transform=[dict(type='RandomCropWithBox', size=None, scale=(0.2, 1.0))],
    ),
)
custom_hooks = [dict(type='ccmim.ScoreRefreshHook', begin=41 / 400, interval=40 / 400)]
train_cfg = dict(max_epochs=400)
optim_wrapper = dict(accumulative_counts=1)
_base_.param_scheduler[0].end = 40 / 400
_base_.param_scheduler[1].begin = 40 / 400
