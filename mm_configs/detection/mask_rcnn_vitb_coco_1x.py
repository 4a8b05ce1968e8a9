r"""Mask R-CNN with ViT-B/16 on COCO, CAE's recipe: 12 epochs, 480-800 px, batch 32.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_coco_1x.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: CAE, .../vit_base_giou_4conv1f_coco_maskrcnn_1x_cae_sincos_init0.1_lr00003.py.
Expected: 48.4 box AP, 42.6 mask AP, 50.3 box AP with CAE's weights, 44.2 mask AP with
CAE's weights (CAE, README.md: MAE's weights of 1600 epochs). Departs: positions of the
checkpoint, resampled and trained, not fixed ones; no layer scale; small first weights
of the last layer of the masks. With ccMIM's weights: not known. Not run. Eight GPUs at
batch 4 each; CAE used 16 at batch 2. Global attention everywhere: blocks are
recomputed.
"""

_base_ = [
    '../_base_/models/mask_rcnn_vit_1x.py',
    '../_base_/datasets/coco_instance_multiscale.py',
    '../_base_/schedules/coco_1x.py',
    '../_base_/detection.py',
]
