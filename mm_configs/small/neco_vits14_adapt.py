r"""NeCo starts from the weights of a ViT-S/14 with layer scale, on the small photos.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/neco_vits14_adapt.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

One epoch at 112 px, the backbone at 1e-5 as published. See docs/results.md.
"""

_base_ = 'neco_vitt.py'
model = dict(
    backbone=dict(
        arch='small',
        img_size=112,
        patch_size=14,
        pos_embed='learned',
        layer_scale_init=1.0,
    ),
)
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0), paramwise_cfg=dict(lr_mult={'backbone': 0.1})
)
train_cfg = dict(max_epochs=1)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=10))
