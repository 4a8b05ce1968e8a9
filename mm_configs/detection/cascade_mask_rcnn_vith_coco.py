r"""Cascade Mask R-CNN with ViT-H/16 on COCO, ViTDet's recipe: 75 epochs, batch 64.

    tools/dist_train.sh mm_configs/detection/cascade_mask_rcnn_vith_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: detectron2, projects/ViTDet/configs/COCO/cascade_mask_rcnn_vitdet_h_75ep.py;
else as cascade_mask_rcnn_vitb_coco.py. Expected: 58.7 box AP, 51.0 mask AP (detectron2,
projects/ViTDet/README.md: with MAE's weights). Published cost: 1.137 s an image and
32.9 GB at one image a GPU (A100). Departs: mmdet's heads in place of detectron2's;
photos with a side below 32 px left out; no relative positions. Patches of 14 px, as
MAE's ViT-H has, are resampled to 16, as ViTDet did. Not run. Eight GPUs at batch 8
each. Norms, biases and positions are decayed, as published.
"""

_base_ = './cascade_mask_rcnn_vitb_coco.py'
model = dict(
    backbone=dict(
        arch='huge',
        drop_path_rate=0.5,
        init_cfg=dict(resize_patch=True),
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.9, no_decay_names=()))
train_cfg = dict(max_iters=138281)
_base_.param_scheduler[0].end = 250 / 138281
_base_.param_scheduler[1].milestones = [122916 / 138281, 133159 / 138281]
