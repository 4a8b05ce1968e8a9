r"""MAE starts from the weights of a ViT-S/14 with layer scale, on the small photos.

    CCMIM_DATA=data tools/dist_train.sh mm_configs/small/mae_vits14_adapt.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

One epoch at 112 px. The encoder learns at 1e-5, a hundredth of the decoder's rate, and
an anchor keeps what its patches know of each other. See docs/results.md for what
becomes of the dense features without it (`model.anchor=None`), and at 1e-4.
"""

_base_ = 'mae_vitt.py'
model = dict(
    backbone=dict(
        arch='small',
        img_size=112,
        patch_size=14,
        pos_embed='learned',
        layer_scale_init=1.0,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    decoder=dict(embed_dim=192, num_heads=3),
    anchor=dict(type='GramAnchor', weight=10.0),
)
train_dataloader = dict(batch_size=16)
optim_wrapper = dict(
    clip_grad=dict(max_norm=1.0), paramwise_cfg=dict(lr_mult={'backbone': 0.01})
)
train_cfg = dict(max_epochs=1)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=10))
