r"""Mask R-CNN on the built-in toy scenes, four categories.

    python tools/make_toy_scenes.py work_dirs/toy_scenes
    tools/dist_train.sh mm_configs/demo/mask_rcnn_toy.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. About two minutes on two CPU cores.
"""

_base_ = [
    '../_base_/models/mask_rcnn_vit_slim.py',
    '../_base_/datasets/toy_instances.py',
    '../_base_/schedules/short.py',
    '../_base_/detection.py',
]
# The objects are small: boxes change their level at a quarter of the usual size. They
# are few: boxes and masks are learned for all categories together.
extractor = dict(finest_scale=14)
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dim=192, depth=6, num_heads=3),
        img_size=128,
    ),
    neck=dict(out_channels=64),
    rpn_head=dict(
        feat_channels=64,
        anchor_generator=dict(scales=[4]),
    ),
    roi_head=dict(
        bbox_roi_extractor=extractor,
        bbox_head=dict(num_classes=4, reg_class_agnostic=True),
        mask_roi_extractor=extractor,
        mask_head=dict(conv_out_channels=64, num_classes=4, class_agnostic=True),
    ),
    train_cfg=dict(rpn_proposal=dict(max_per_img=100), rcnn=dict(sampler=dict(num=48))),
    test_cfg=dict(rpn=dict(max_per_img=100)),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=300)
