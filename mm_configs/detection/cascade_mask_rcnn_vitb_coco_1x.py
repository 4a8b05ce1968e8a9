r"""Cascade Mask R-CNN with ViT-B/16 on COCO, iBOT's recipe: 12 epochs, batch 16.

    tools/dist_train.sh mm_configs/detection/cascade_mask_rcnn_vitb_coco_1x.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Expected: iBOT's paper gives 51.2 box AP and 44.2 mask AP with its own weights. With
ccMIM's weights: not known. Not run. Eight GPUs at batch 2 each.
"""

_base_ = [
    '../_base_/models/cascade_mask_rcnn_vit_1x.py',
    '../_base_/datasets/coco_instance_multiscale.py',
    '../_base_/schedules/coco_1x.py',
    '../_base_/detection.py',
]
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=12 * 7330, val_interval=7330)  # 117,266 images / 16
optim_wrapper = dict(optimizer=dict(lr=1e-4))
_base_.param_scheduler[0].end = 500 / (12 * 7330)
_base_.param_scheduler[1].milestones = [8 / 12, 11 / 12]
auto_scale_lr = dict(base_batch_size=16)
