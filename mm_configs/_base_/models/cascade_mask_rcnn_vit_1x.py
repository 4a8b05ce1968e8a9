"""Cascade Mask R-CNN on a plain ViT-B/16 as iBOT's 12-epoch recipe builds it.

As mask_rcnn_vit_1x.py, with mmdet's cascade: a mask head for each stage.
"""

_base_ = './mask_rcnn_vit_1x.py'
box_head = _base_.model.roi_head.bbox_head
rcnn = _base_.model.train_cfg.rcnn
model = dict(
    type='CascadeRCNN',
    rpn_head=dict(
        loss_bbox=dict(_delete_=True, type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0)
    ),
    roi_head=dict(
        type='CascadeRoIHead',
        num_stages=3,
        stage_loss_weights=[1, 0.5, 0.25],
        bbox_head=[
            dict(
                box_head,
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=stds,
                ),
            )
            for stds in (
                [0.1, 0.1, 0.2, 0.2],
                [0.05, 0.05, 0.1, 0.1],
                [0.033, 0.033, 0.067, 0.067],
            )
        ],
    ),
    train_cfg=dict(
        rpn=dict(allowed_border=0),
        rcnn=[
            dict(
                rcnn,
                assigner=dict(
                    type='MaxIoUAssigner',
                    pos_iou_thr=overlap,
                    neg_iou_thr=overlap,
                    min_pos_iou=overlap,
                    match_low_quality=False,
                    ignore_iof_thr=-1,
                ),
            )
            for overlap in (0.5, 0.6, 0.7)
        ],
    ),
)
