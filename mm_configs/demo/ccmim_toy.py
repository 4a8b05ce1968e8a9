"""ccMIM on the built-in toy scenes: a ViT of width 192 and 6 blocks at 128 px.

python tools/make_toy_scenes.py work_dirs/toy_scenes --unlabelled 2000
tools/dist_train.sh mm_configs/demo/ccmim_toy.py 1
"""

_base_ = [
    '../_base_/models/ccmim_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dim=192, depth=6, num_heads=3), img_size=128
    ),
    decoder=dict(embed_dim=96, depth=2, num_heads=4),
)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(data='{{$CCMIM_TOY:work_dirs/toy_scenes}}/unlabelled'),
)
_base_.train_dataloader.dataset.transform[0].scale = (0.5, 1.0)
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=1), logger=dict(interval=10)
)
train_cfg = dict(max_epochs=30)
