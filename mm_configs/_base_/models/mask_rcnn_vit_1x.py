"""Mask R-CNN on a plain ViT-B/16 as CAE's and iBOT's 12-epoch recipes build it.

Four maps, rescaled, into an ordinary FPN; global attention in all blocks, recomputed in
the backward pass; batch norm in the box head, whose loss is the GIoU of the boxes.

Unlike CAE's in the positions, which are the checkpoint's, resampled and trained, as
in iBOT, and in the mask head's first weights (see `SmallInitMaskHead`).
"""

_base_ = './mask_rcnn_vit.py'
batch_norm = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        img_size=(672, 1088),
        pos_size=None,
        window_size=0,
        global_blocks=(),
        drop_path_rate=0.2,
        with_cp=True,
    ),
    neck=dict(
        _delete_=True,
        type='ccmim.MultiLevelFPN',
        out_channels=256,
        norm_cfg=batch_norm,
    ),
    rpn_head=dict(num_convs=1),
    roi_head=dict(
        bbox_head=dict(
            norm_cfg=dict(_delete_=True, **batch_norm),
            reg_decoded_bbox=True,
            loss_bbox=dict(_delete_=True, type='GIoULoss', loss_weight=10.0),
        ),
        mask_head=dict(norm_cfg=None),
    ),
    train_cfg=dict(
        rpn_proposal=dict(max_per_img=2000),
        rcnn=dict(assigner=dict(match_low_quality=True)),
    ),
)
