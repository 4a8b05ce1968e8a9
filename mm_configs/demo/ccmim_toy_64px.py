"""ccMIM on toy scenes of 64 px, for a minute or two: width 128, 4 blocks, patch 8.

python tools/make_toy_scenes.py work_dirs/toy_scenes --size 64 --unlabelled 2000
tools/dist_train.sh mm_configs/demo/ccmim_toy_64px.py 1
"""

_base_ = './ccmim_toy.py'
model = dict(
    backbone=dict(
        arch=dict(embed_dim=128, depth=4, num_heads=2), img_size=64, patch_size=8
    ),
    decoder=dict(embed_dim=64, depth=1),
)
train_dataloader = dict(
    num_workers=0,
    dataset=dict(
        _delete_=True,
        type='KeptImages',
        data='{{$CCMIM_TOY:work_dirs/toy_scenes}}/unlabelled',
        size=None,
        scale=(0.5, 1.0),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
default_hooks = dict(probe=None, checkpoint=dict(interval=5), logger=dict(interval=31))
train_cfg = dict(max_epochs=12)
