r"""Mask R-CNN with ViT-B/16 on COCO, ViTDet's recipe: 100 epochs, LSJ 1024, batch 64.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: with MAE's weights ViTDet publishes 51.6 box AP and 45.9 mask AP, and
MMDetection's port 51.6 and 45.7; both have relative positions, which are left out here:
mask_rcnn_vitb_coco_relpos.py has them. Both decay the biases of linear layers too.
With ccMIM's weights: not known. Eight GPUs at batch 8 each; ViTDet reports 0.314 s an
image and 10.9 GB on A100s. COCO is in `data/coco` or where `CCMIM_COCO` points.
"""

_base_ = [
    '../_base_/models/mask_rcnn_vit.py',
    '../_base_/datasets/coco_instance_lsj.py',
    '../_base_/schedules/vitdet_100e.py',
    '../_base_/detection.py',
]
