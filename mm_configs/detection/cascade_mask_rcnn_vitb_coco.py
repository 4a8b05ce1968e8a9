r"""Cascade Mask R-CNN with ViT-B/16 on COCO, ViTDet's recipe: 100 epochs, batch 64.

    tools/dist_train.sh mm_configs/detection/cascade_mask_rcnn_vitb_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: detectron2, projects/ViTDet/configs/COCO/cascade_mask_rcnn_vitdet_b_100ep.py;
else as mask_rcnn_vitb_coco.py. Expected: 54.0 box AP, 46.7 mask AP (detectron2,
projects/ViTDet/README.md: with MAE's weights). Published cost: 0.362 s an image and
12.3 GB at one image a GPU (A100). Departs: mmdet's heads in place of detectron2's;
photos with a side below 32 px left out; no relative positions. Not run. Eight GPUs at
batch 8 each.
"""

_base_ = [
    '../_base_/models/cascade_mask_rcnn_vit.py',
    '../_base_/datasets/coco_instance_lsj.py',
    '../_base_/schedules/vitdet_100e.py',
    '../_base_/detection.py',
]
