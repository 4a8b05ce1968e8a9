"""ConMIM, ViT-B/16, 800 epochs on ImageNet-1K.

    tools/dist_train.sh mm_configs/pretrain/conmim_vitb.py 8

Recipe: ConMIM, README.md and run_conmim_pretraining.py. Expected: 83.7 top-1 fine-tuned
(ConMIM, imgs/results.png: after 800 epochs, from the teacher network). Departs: rate,
batch and warm-up of ViT-L's command; fixed absolute positions in place of relative ones
that all blocks share; no layer scale; a projector that begins with Xavier's weights;
colors are changed in a fixed order, and the hue in YIQ. The teacher network is
`teacher.backbone` in our checkpoints; `backbone` is the student. Not run by us at full
length. Effective batch 2048 = 8 GPUs x 256 images.
"""

_base_ = [
    '../_base_/models/conmim_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(backbone=dict(weight_init='beit'))
train_dataloader = dict(batch_size=256)
_base_.train_dataloader.dataset.transform[0].scale = (0.08, 1.0)
optim_wrapper = dict(
    accumulative_counts=1,
    optimizer=dict(lr=7.5e-4, betas=(0.9, 0.98)),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(no_decay_names=('cls_token', 'pos_embed')),
)
_base_.param_scheduler[0].end = 10 / 800
_base_.param_scheduler[1].pop('eta_min')  # a ratio holds for any batch
_base_.param_scheduler[1].update(begin=10 / 800, eta_min_ratio=1e-5 / 7.5e-4)
auto_scale_lr = dict(base_batch_size=2048)
