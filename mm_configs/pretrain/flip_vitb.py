"""FLIP, ViT-B/16 and a text tower of 12 layers, 32 epochs of LAION-400M.

    tools/dist_train.sh mm_configs/pretrain/flip_vitb.py 8 --cfg-options \
        train_dataloader.dataset.data=FOLDER train_dataloader.dataset.captions=FILE

Recipe: FLIP, configs/cfg_flip_base.py and default.py. Expected: 68.0 top-1 zero-shot on
ImageNet-1K (FLIP, README.md). Departs: 4096 pairs are compared a step, where the
source compares 65,536; a vocabulary that is made of the captions; words that do not
see the padding; the exact GELU. Not run at full length. Effective batch 65536 = 8 GPUs
x 512 images x 16 accumulated steps.
"""

_base_ = [
    '../_base_/models/flip_vit.py',
    '../_base_/datasets/captioned.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_800e.py',
]
model = dict(backbone=dict(weight_init='mae'))
custom_hooks = [dict(type='ccmim.VocabularyHook')]
default_hooks = dict(checkpoint=dict(interval=1))
train_dataloader = dict(batch_size=512)
train_cfg = dict(max_epochs=32)
optim_wrapper = dict(
    accumulative_counts=16,
    optimizer=dict(lr=4e-6 * 65536 / 256, weight_decay=0.2),
    # The class token and the scale of the contrast are decayed.
    paramwise_cfg=dict(
        no_decay_by_shape=False,
        no_decay_names=('bias', 'norm', 'norm1', 'norm2', 'pos_embed'),
    ),
)
_base_.param_scheduler[0].end = 40 / 10000
_base_.param_scheduler[1].begin = 40 / 10000
auto_scale_lr = dict(base_batch_size=65536)
