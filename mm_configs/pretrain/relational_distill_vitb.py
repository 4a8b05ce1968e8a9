r"""Relational distillation, ViT-B/16, 100 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/relational_distill_vitb.py 8 \
        --cfg-options model.teacher.checkpoint=FILE

Recipe: lightly-train, src/lightly_train/_methods/distillationv3. Expected: no figure is
known. Departs: 100 epochs, 10 of them warm-up, then a cosine, without decay of norms
and biases; one linear map, and the average of the patches as the photo; one queue for
all processes, of random vectors at first; colors are changed in a fixed order, and the
hue in YIQ; Xavier's weights in place of a normal of 0.02. FILE: weights of a ViT-B/16;
for another network model.teacher.backbone=None, as its weights say the rest. Not run by
us at full length. Effective batch 1536 = 8 GPUs x 192 images.
"""

_base_ = [
    '../_base_/models/relational_distill_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
_base_.train_dataloader.dataset.transform[0].scale = (0.14, 1.0)
train_dataloader = dict(batch_size=192)
train_cfg = dict(max_epochs=100)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=5e-4, betas=(0.9, 0.999), weight_decay=0.04),
    clip_grad=dict(max_norm=1.0),
)
_base_.param_scheduler[0].end = 10 / 100
_base_.param_scheduler[1].begin = 10 / 100
auto_scale_lr = dict(base_batch_size=1536)
