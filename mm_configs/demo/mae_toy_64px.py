"""MAE on toy scenes of 64 px, for a minute or two: width 128, 4 blocks, patch 8.

python tools/make_toy_scenes.py work_dirs/toy_scenes --size 64 --unlabelled 2000
tools/dist_train.sh mm_configs/demo/mae_toy_64px.py 1
"""

_base_ = [
    '../_base_/models/mae_vit.py',
    '../_base_/datasets/imagenet_unlabelled.py',
    '../_base_/pretraining.py',
    '../_base_/schedules/pretrain_short.py',
]
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dim=128, depth=4, num_heads=2),
        img_size=64,
        patch_size=8,
    ),
    decoder=dict(embed_dim=64, depth=1, num_heads=4),
)
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='KeptImages',
        data='{{$CCMIM_TOY:work_dirs/toy_scenes}}/unlabelled',
        size=None,
        scale=(0.5, 1.0),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
default_hooks = dict(
    probe=None,
    checkpoint=dict(interval=5, max_keep_ckpts=1),
    logger=dict(interval=31),
)
train_cfg = dict(max_epochs=20)
