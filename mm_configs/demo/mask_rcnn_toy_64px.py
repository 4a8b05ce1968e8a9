r"""Mask R-CNN on a few toy scenes of 64 px, for some hundred small steps.

    python tools/make_toy_scenes.py work_dirs/toy_scenes --size 64 --train 20
    tools/dist_train.sh mm_configs/demo/mask_rcnn_toy_64px.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option.
"""

_base_ = './mask_rcnn_toy.py'
_base_.test_pipeline[1].update(scale=(64, 64))
_base_.val_dataloader.dataset.pipeline[1].update(scale=(64, 64))
extractor = dict(featmap_strides=[2, 4, 8, 16], finest_scale=7, out_channels=32)
model = dict(
    data_preprocessor=dict(pad_size_divisor=64),
    backbone=dict(
        arch=dict(embed_dim=128, depth=4, num_heads=2),
        img_size=64,
        patch_size=8,
        out_indices=(3,),
    ),
    neck=dict(in_channels=128, out_channels=32),
    rpn_head=dict(
        in_channels=32,
        feat_channels=32,
        anchor_generator=dict(strides=[2, 4, 8, 16, 32]),
    ),
    roi_head=dict(
        bbox_roi_extractor=extractor,
        bbox_head=dict(in_channels=32),
        mask_roi_extractor=extractor,
        mask_head=dict(in_channels=32, conv_out_channels=32),
    ),
)
val_dataloader = dict(dataset=dict(pipeline=_base_.val_dataloader.dataset.pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=100)
