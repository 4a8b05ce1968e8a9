r"""Cascade Mask R-CNN with ViT-B/16 on COCO, iBOT's recipe: 12 epochs, batch 16.

    tools/dist_train.sh mm_configs/detection/cascade_mask_rcnn_vitb_coco_1x.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: iBOT, evaluation/README.md and
evaluation/object_detection/configs/cascade_rcnn/vit_base_giou_4conv1f_coco_3x.py.
Expected: 51.2 box AP, 44.2 mask AP (iBOT, README.md: with its own weights). Departs:
small first weights of the last layer of the masks. With ccMIM's weights: not known. Not
run. Eight GPUs at batch 2 each.
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
