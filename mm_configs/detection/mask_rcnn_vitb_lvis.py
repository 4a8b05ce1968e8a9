r"""Mask R-CNN with ViT-B/16 on LVIS v1, ViTDet's recipe: 100 epochs, batch 64.

    tools/dist_train.sh mm_configs/detection/mask_rcnn_vitb_lvis.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: detectron2, projects/ViTDet/configs/LVIS/mask_rcnn_vitdet_b_100ep.py; else as
mask_rcnn_vitb_coco.py. Expected: 40.2 box AP, 38.2 mask AP (detectron2,
projects/ViTDet/README.md: with MAE's weights). Published cost: 0.317 s an image and
14.4 GB at one image a GPU (A100). Departs: mmdet's heads in place of detectron2's;
photos with a side below 32 px left out; no relative positions. With the federated loss,
as published. Not run. Eight GPUs at batch 8 each. LVIS and COCO's photos are in
`data/lvis_v1` or where `CCMIM_LVIS` points. Needs LVIS's own package: `pip install
git+https://github.com/lvis-dataset/lvis-api.git`.
"""

_base_ = [
    '../_base_/models/mask_rcnn_vit.py',
    '../_base_/datasets/lvis_instance_lsj.py',
    '../_base_/schedules/vitdet_100e.py',
    '../_base_/detection.py',
]
model = dict(
    roi_head=dict(
        bbox_head=dict(
            num_classes=1203,
            loss_cls=dict(
                _delete_=True,
                type='ccmim.FederatedLoss',
                frequencies=_base_.data_root + 'annotations/lvis_v1_train.json',
            ),
        ),
        mask_head=dict(num_classes=1203),
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.02, max_per_img=300)),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
train_cfg = dict(max_iters=156250)
_base_.param_scheduler[0].end = 250 / 156250
_base_.param_scheduler[1].milestones = [138889 / 156250, 150463 / 156250]
