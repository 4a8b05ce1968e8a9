"""Cascade Mask R-CNN on ViT-Ti/16 with slim heads, for a 384 x 384 canvas and a CPU.

As mask_rcnn_vit_slim.py, with the three stages of cascade_mask_rcnn_vit.py.
"""

_base_ = './mask_rcnn_vit_slim.py'
box_head = _base_.model.roi_head.bbox_head
rcnn = _base_.model.train_cfg.rcnn
model = dict(
    type='CascadeRCNN',
    roi_head=dict(
        type='ccmim.OneMaskCascadeRoIHead',
        num_stages=3,
        stage_loss_weights=[1, 1, 1],
        bbox_head=[
            dict(
                box_head,
                reg_class_agnostic=True,
                bbox_coder=dict(
                    box_head.bbox_coder, target_stds=[1 / w for w in weights]
                ),
            )
            for weights in ((10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15))
        ],
    ),
    train_cfg=dict(
        rcnn=[
            dict(
                rcnn,
                assigner=dict(
                    rcnn.assigner,
                    pos_iou_thr=overlap,
                    neg_iou_thr=overlap,
                    min_pos_iou=overlap,
                ),
                # The first stage samples; the later ones take all that it took.
                sampler=dict(rcnn.sampler, pos_fraction=share),
            )
            for overlap, share in ((0.5, 0.25), (0.6, 1.0), (0.7, 1.0))
        ]
    ),
)
