r"""Cascade Mask R-CNN with ViT-L/16 on COCO, ViTDet's recipe: 100 epochs, batch 64.

    tools/dist_train.sh mm_configs/detection/cascade_mask_rcnn_vitl_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: detectron2, projects/ViTDet/configs/COCO/cascade_mask_rcnn_vitdet_l_100ep.py;
else as cascade_mask_rcnn_vitb_coco.py. Expected: 57.6 box AP, 50.0 mask AP (detectron2,
projects/ViTDet/README.md: with MAE's weights). Published cost: 0.643 s an image and
22.3 GB at one image a GPU (A100). Departs: mmdet's heads in place of detectron2's;
photos with a side below 32 px left out; no relative positions. Not run. Eight GPUs at
batch 8 each.
"""

_base_ = './cascade_mask_rcnn_vitb_coco.py'
model = dict(
    backbone=dict(
        arch='large',
        drop_path_rate=0.4,
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.8))
