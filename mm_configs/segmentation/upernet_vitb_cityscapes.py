r"""UperNet with ViT-B/16 on Cityscapes: mmseg's data and length, MAE's optimization.

    tools/dist_train.sh mm_configs/segmentation/upernet_vitb_cityscapes.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

512 x 1024 crops, 80k iterations at batch 8, as mmseg's UperNet on Cityscapes; learning
rate and layer decay as on ADE20K. Expected: not known, no recipe for a plain ViT is
published. Not run. Eight GPUs at batch 1 each. Slides over the image by two thirds of a
crop; `--tta` tests at six scales, flipped and not. Cityscapes is in `data/cityscapes`
or where `CCMIM_CITYSCAPES` points.
"""

_base_ = [
    '../_base_/models/upernet_vit.py',
    '../_base_/datasets/cityscapes.py',
    '../_base_/schedules/upernet_160k.py',
    '../_base_/segmentation.py',
]
model = dict(
    backbone=dict(img_size=(512, 1024)),
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19),
)
train_cfg = dict(max_iters=80000, val_interval=8000)
_base_.param_scheduler[0].end = 1500 / 80000
_base_.param_scheduler[1].begin = 1500 / 80000
auto_scale_lr = dict(base_batch_size=8)
