"""AMT on SimMIM, ViT-B/16, 200 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/amt_simmim_vitb.py 8

Recipe: guijiejie/AMT, simmim_amt_pretrain__vit_base, which crops its score maps another
way than the images; here both are cropped alike. The rate falls to a tenth for the last
eighth, as in SimMIM's. Expected figure: none is known to us. Not run at full length.
Effective batch 2048 = 8 GPUs x 256 images; the maps take 256 MB a GPU and a checkpoint.
"""

_base_ = [
    '../_base_/models/amt_simmim_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
train_dataloader = dict(
    batch_size=256,
    dataset=dict(
        type='ImagesWithCropBox',
        transform=[dict(type='RandomCropWithBox', size=None, scale=(0.67, 1.0))],
    ),
)
custom_hooks = [dict(type='ccmim.ScoreRefreshHook', begin=40, interval=40)]
train_cfg = dict(max_epochs=200)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=1e-4 * 2048 / 512, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=5e-7 / 1e-4,
        end=10 / 200,
        convert_to_iter_based=True,
    ),
    dict(
        type='MultiStepLR',
        gamma=0.1,
        milestones=[175 / 200],
        convert_to_iter_based=True,
    ),
]
auto_scale_lr = dict(base_batch_size=2048)
