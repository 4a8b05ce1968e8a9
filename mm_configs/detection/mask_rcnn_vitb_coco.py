r"""Mask R-CNN with ViT-B/16 on COCO, ViTDet's recipe: 100 epochs, LSJ 1024, batch 64.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: as mask_rcnn_vitb_coco_relpos.py. Expected: 51.6 box AP, 45.9 mask AP
(detectron2, projects/ViTDet/README.md: with MAE's weights; MMDetection's port has 51.6
and 45.7, projects/ViTDet/README.md). Published cost: 0.314 s an image and 10.9 GB at
one image a GPU (A100). Departs: mmdet's heads in place of detectron2's; photos with a
side below 32 px left out; no relative positions. With ccMIM's weights: not known. Not
run. Eight GPUs at batch 8 each. COCO is in `data/coco` or where `CCMIM_COCO` points.
"""

_base_ = [
    '../_base_/models/mask_rcnn_vit.py',
    '../_base_/datasets/coco_instance_lsj.py',
    '../_base_/schedules/vitdet_100e.py',
    '../_base_/detection.py',
]
