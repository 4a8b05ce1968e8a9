r"""Mask R-CNN on Penn-Fudan whose box features predict how an object's parts lie (LIO).

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/mask_rcnn_vitt_penn_fudan_lio.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

mask_rcnn_vitt_penn_fudan.py with one loss more, of which testing knows nothing.
"""

_base_ = 'mask_rcnn_vitt_penn_fudan.py'
model = dict(
    roi_head=dict(
        type='ccmim.ContextRoIHead',
        context=dict(type='ccmim.SpatialContext', dim=128),
    )
)
