r"""Cascade Mask R-CNN with ViT-Ti/16 on the 128 + 42 photos of Penn-Fudan.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/cascade_mask_rcnn_vitt_penn_fudan.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. The data and schedule of mask_rcnn_vitt_penn_fudan.py.
"""

_base_ = [
    '../_base_/models/cascade_mask_rcnn_vit_slim.py',
    '../_base_/datasets/penn_fudan.py',
    '../_base_/schedules/short.py',
    '../_base_/detection.py',
]
model = dict(roi_head=dict(mask_head=dict(num_classes=1)))
for _head in _base_.model.roi_head.bbox_head:
    _head.num_classes = 1
