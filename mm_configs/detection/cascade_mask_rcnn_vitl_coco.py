r"""Cascade Mask R-CNN with ViT-L/16 on COCO, ViTDet's recipe: 100 epochs, batch 64.

    tools/dist_train.sh mm_configs/detection/cascade_mask_rcnn_vitl_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: with MAE's weights ViTDet publishes 57.6 box AP and 50.0 mask AP (detectron2
projects/ViTDet), with relative positions, which are left out here. Not run. Eight GPUs
at batch 8 each; ViTDet reports 0.643 s an image and 22.3 GB at one image a GPU (A100).
"""

_base_ = './cascade_mask_rcnn_vitb_coco.py'
model = dict(
    backbone=dict(
        arch='large',
        out_indices=(23,),
        global_blocks=(5, 11, 17, 23),
        drop_path_rate=0.4,
    ),
    neck=dict(in_channels=1024),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay=0.8))
