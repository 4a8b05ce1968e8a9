r"""Mask R-CNN with ViT-B/16 on COCO, ViTDet's recipe with its relative positions.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_coco_relpos.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: detectron2, projects/ViTDet/configs/COCO/mask_rcnn_vitdet_b_100ep.py. Expected:
51.6 box AP, 45.9 mask AP (detectron2, projects/ViTDet/README.md: with MAE's weights).
Published cost: 0.314 s an image and 10.9 GB at one image a GPU (A100). Departs: mmdet's
heads in place of detectron2's; photos with a side below 32 px left out. Decomposed
relative positions for 14 x 14 patches in the windows and 64 x 64 in the global blocks.
Their tables start at zero and need not be in FILE. Not run. Eight GPUs at batch 8 each.
Other leaves take `--cfg-options model.backbone.attention=rel_pos`
and the same `allow_missing`.
"""

_base_ = './mask_rcnn_vitb_coco.py'
model = dict(
    backbone=dict(
        attention='rel_pos',
        init_cfg=dict(
            allow_missing=[
                f'blocks.{i}.attn.rel_pos_{axis}' for i in range(12) for axis in 'hw'
            ]
        ),
    )
)
