r"""Mask R-CNN with ViT-B/16 on COCO, CAE's recipe: 12 epochs, 480-800 px, batch 32.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_coco_1x.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: in CAE's paper 48.4 box AP and 42.6 mask AP with MAE's weights (1600 epochs),
50.3 and 44.2 with CAE's. With ccMIM's weights: not known. Not run. Eight GPUs at batch
4 each; CAE used 16 at batch 2. Global attention everywhere: blocks are recomputed.
"""

_base_ = [
    '../_base_/models/mask_rcnn_vit_1x.py',
    '../_base_/datasets/coco_instance_multiscale.py',
    '../_base_/schedules/coco_1x.py',
    '../_base_/detection.py',
]
