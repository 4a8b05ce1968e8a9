"""AMT on SimMIM, ViT-B/16, 200 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/amt_simmim_vitb.py 8

Recipe: AMT, SimMIM-AMT/configs/vit_base/simmim_amt_pretrain__vit_base.yaml and
config.py. Expected: no figure is known. The published code stops in epoch 40, where its
shapes no longer fit, so nobody has a result. Departs: it runs beyond epoch 40; batch
2048; a cosine from the end of the warm-up, not from the first step; maps cut where the
image is; whole photos resized by bicubic interpolation, not bilinear; a head that
begins with Xavier's weights and no bias. Not run at full length. Effective batch 2048 =
8 GPUs x 256 images; the maps take 256 MB a GPU and a checkpoint. Downstream configs
need `model.backbone.layer_scale_init=0.1`.
"""

_base_ = [
    '../_base_/models/amt_simmim_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(
    backbone=dict(pos_embed='learned', layer_scale_init=0.1, weight_init='beit'),
    sampler=dict(sampler=dict(begin=41 / 200, first_ratio=0.44)),
)
train_dataloader = dict(
    batch_size=256,
    dataset=dict(
        type='ImagesWithCropBox',
        transform=[
            dict(
                type='RandomCropWithBox',
                size=None,
                scale=(0.67, 1.0),
                interpolation='bilinear',
            )
        ],
    ),
)
custom_hooks = [dict(type='ccmim.ScoreRefreshHook', begin=41 / 200, interval=40 / 200)]
train_cfg = dict(max_epochs=200)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=1e-4 * 2048 / 512, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(no_decay_names=('cls_token', 'pos_embed')),
)
_base_.param_scheduler[0].update(start_factor=5e-7 / 1e-4, end=10 / 200)
_base_.param_scheduler[1].pop('eta_min')  # a ratio holds for any batch
_base_.param_scheduler[1].update(begin=10 / 200, eta_min_ratio=5e-6 / 1e-4)
auto_scale_lr = dict(base_batch_size=2048)
