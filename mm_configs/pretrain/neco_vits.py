r"""NeCo, ViT-S/14 at 518 px, 25 epochs on COCO from the weights of DINOv2.

    tools/dist_train.sh mm_configs/pretrain/neco_vits.py 8 --cfg-options \
        model.backbone.init_cfg.checkpoint=timm:vit_small_patch14_dinov2.lvd142m

Recipe: NeCo, src/neco.py and experiments/configs/models/small/neco_dinov2.yml.
Expected: 81.3 mIoU by dense NN retrieval on VOC 2012 (README.md). Departs: an epoch of
warm-up; a head at the rate that the source's settings name, which its code does not
use; crops that are cut on the device out of the photo, squeezed to a square; places of
crops that are drawn so that they share enough; one queue for both large crops and all
processes; colors are changed in a fixed order, and the hue in YIQ; positions of small
crops resampled with antialiasing; a head that begins with Xavier's weights. Effective
batch 64 = 8 GPUs x 8 images. Not run at full length.
"""

_base_ = [
    '../_base_/models/neco_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data='data/coco/train2017',
        least_side=518,
        transform=[dict(type='Resize', size=None), dict(type='ToUint8Tensor')],
    ),
)
train_cfg = dict(max_epochs=25)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=1e-4, betas=(0.9, 0.999), weight_decay=0.04),
    paramwise_cfg=dict(lr_mult={'backbone': 0.1}),
)
_base_.param_scheduler[0].end = 1 / 25
_base_.param_scheduler[1].begin = 1 / 25
_base_.param_scheduler.append(
    dict(
        type='CosineAnnealingParamScheduler',
        param_name='weight_decay',
        eta_min=0.5,
        convert_to_iter_based=True,
    )
)
auto_scale_lr = dict(base_batch_size=64)
