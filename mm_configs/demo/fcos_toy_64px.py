r"""FCOS on the map of a small ViT, for a few toy scenes of 64 px: learned in a minute.

    python tools/make_toy_scenes.py work_dirs/toy_scenes --size 64 --train 20
    tools/dist_train.sh mm_configs/demo/fcos_toy_64px.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. One map at the stride of the patches and two
convolutions: so light a head shows what the features hold.
"""

_base_ = [
    '../_base_/datasets/toy_instances.py',
    '../_base_/schedules/short.py',
    '../_base_/detection.py',
]
_base_.test_pipeline[1].update(scale=(64, 64))
train, val = _base_.train_dataloader.dataset, _base_.val_dataloader.dataset
val.pipeline[1].update(scale=(64, 64))
train.pipeline[1].update(with_mask=False)
val.pipeline[2].update(with_mask=False)
norm_cfg = dict(type='BN')
model = dict(
    type='FCOS',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=64,
    ),
    backbone=dict(
        type='ccmim.VisionTransformer',
        arch=dict(embed_dim=128, depth=4, num_heads=2),
        img_size=64,
        patch_size=8,
        pos_embed='sincos',
        out_indices=(3,),
        out_norm=True,
        init_cfg=dict(type='Pretrained', checkpoint=None),
    ),
    neck=dict(
        type='ChannelMapper',
        in_channels=[128],
        kernel_size=3,
        out_channels=64,
        num_outs=1,
        norm_cfg=norm_cfg,
    ),
    bbox_head=dict(
        type='FCOSHead',
        num_classes=4,
        in_channels=64,
        feat_channels=64,
        stacked_convs=1,
        strides=[8],
        regress_ranges=((-1, 1e8),),
        norm_on_bbox=True,
        centerness_on_reg=True,
        center_sampling=True,
        conv_bias=True,
        norm_cfg=norm_cfg,
        loss_bbox=dict(type='GIoULoss', loss_weight=1.0),
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.02,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=100,
    ),
)
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train.pipeline))
val_dataloader = dict(dataset=dict(pipeline=val.pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric=['bbox'])
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay=1.0))
train_cfg = dict(max_iters=100)
