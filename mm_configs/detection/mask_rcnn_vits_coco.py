r"""Mask R-CNN with ViT-S/16 on COCO: the recipe of ViT-B, unchanged.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vits_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: not known. Departs: the source has no ViT-S. Eight GPUs at batch 8 each.
"""

_base_ = './mask_rcnn_vitb_coco.py'
model = dict(backbone=dict(arch='small'))
