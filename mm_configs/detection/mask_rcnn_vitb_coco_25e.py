r"""Mask R-CNN with ViT-B/16 on COCO: ViTDet's recipe in a quarter of its 100 epochs.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_coco_25e.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: as mask_rcnn_vitb_coco.py. Expected: 48.0 box AP, 43.0 mask AP (MIMDet,
README.md: of another recipe, the nearest in 25 epochs: other pyramid, no layer decay).
Departs: mmdet's heads in place of detectron2's; photos with a side below 32 px left
out; no relative positions. Not run. Eight GPUs at batch 8 each.
"""

_base_ = './mask_rcnn_vitb_coco.py'
train_cfg = dict(max_iters=46093)
_base_.param_scheduler[0].end = 250 / 46093
_base_.param_scheduler[1].milestones = [40972 / 46093, 44386 / 46093]
