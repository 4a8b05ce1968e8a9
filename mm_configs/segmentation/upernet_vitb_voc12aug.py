r"""UperNet with ViT-B/16 on VOC 2012 aug: mmseg's data and length, MAE's optimization.

    tools/dist_train.sh mm_configs/segmentation/upernet_vitb_voc12aug.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

512 x 512 crops, 40k iterations at batch 16, as mmseg's UperNet on VOC; learning rate
and layer decay as on ADE20K. mmseg's shorter run: `train_cfg.max_iters=20000`.
Expected: not known, no recipe for a plain ViT is published. Not run. Eight GPUs at
batch 2 each. `--tta` tests at six scales, flipped and not. VOC is in
`data/VOCdevkit/VOC2012` or where `CCMIM_VOC` points.
"""

_base_ = [
    '../_base_/models/upernet_vit.py',
    '../_base_/datasets/voc12aug.py',
    '../_base_/schedules/upernet_160k.py',
    '../_base_/segmentation.py',
]
model = dict(decode_head=dict(num_classes=21), auxiliary_head=dict(num_classes=21))
train_cfg = dict(max_iters=40000, val_interval=4000)
_base_.param_scheduler[0].end = 1500 / 40000
_base_.param_scheduler[1].begin = 1500 / 40000
