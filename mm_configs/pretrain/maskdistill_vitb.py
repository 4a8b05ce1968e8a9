"""MaskDistill, ViT-B/16, 300 epochs on ImageNet-1K with CLIP as the teacher.

    tools/dist_train.sh mm_configs/pretrain/maskdistill_vitb.py 8 \
        --cfg-options model.teacher.checkpoint=FILE

Recipe: MaskDistill-PyTorch, configs/pretrain.yaml and src/train.py. Expected: 84.8
top-1 fine-tuned, 85.3 top-1 fine-tuned in the paper (MaskDistill-PyTorch, README.md: as
that page quotes it). Departs: fixed absolute positions in place of relative ones that
all blocks share; no layer scale; no color jitter; Xavier's weights in place of a normal
of 0.02 rescaled by depth; patches that the last rectangles leave over are masked at
random; bicubic crops. FILE: weights of timm's vit_base_patch16_clip_224.openai; or let
timm download them with model.teacher.pretrained=True. Not run by us at full length.
Effective batch 2048 = 8 GPUs x 256 images.
"""

_base_ = [
    '../_base_/models/maskdistill_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(teacher=dict(final_norm=False))
train_dataloader = dict(batch_size=256)
train_cfg = dict(max_epochs=300)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=1.5e-3, betas=(0.9, 0.999)),
    clip_grad=dict(max_norm=3.0),
)
_base_.param_scheduler[0].update(start_factor=1e-5 / 1.5e-3, end=10 / 300)
_base_.param_scheduler[1].pop('eta_min')  # a ratio holds for any batch
_base_.param_scheduler[1].update(begin=10 / 300, eta_min_ratio=1e-5 / 1.5e-3)
_base_.param_scheduler.append(
    dict(
        type='CosineAnnealingParamScheduler',
        param_name='weight_decay',
        eta_min=0.0,
        convert_to_iter_based=True,
    )
)
auto_scale_lr = dict(base_batch_size=2048)
