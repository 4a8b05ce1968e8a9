r"""Faster R-CNN with ViT-Ti/16 on the photos of Penn-Fudan: boxes alone.

    CCMIM_DATA=data \
        tools/dist_train.sh mm_configs/small/faster_rcnn_vitt_penn_fudan.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. The leaf to copy for boxes without masks.
"""

_base_ = './mask_rcnn_vitt_penn_fudan.py'
model = dict(
    type='FasterRCNN',
    data_preprocessor=dict(pad_mask=False),
    roi_head=dict(
        bbox_head=dict(num_classes=1), mask_head=None, mask_roi_extractor=None
    ),
)
for loader in (_base_.train_dataloader, _base_.val_dataloader):
    for step in loader.dataset.pipeline:
        if step.type == 'LoadAnnotations':
            step.with_mask = False
        if step.type == 'RandomCrop':
            step.recompute_bbox = False  # it is by the mask
del loader, step
_base_.test_dataloader = _base_.val_dataloader
_base_.val_evaluator.metric = 'bbox'
_base_.test_evaluator = _base_.val_evaluator
