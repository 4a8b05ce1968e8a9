r"""UperNet on a few toy scenes of 64 px, for some hundred small steps.

    python tools/make_toy_scenes.py work_dirs/toy_scenes --size 64 --train 20
    tools/dist_train.sh mm_configs/demo/upernet_toy_64px.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option.
"""

_base_ = './upernet_toy.py'
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(
        arch=dict(embed_dim=128, depth=4, num_heads=2),
        img_size=64,
        patch_size=8,
        out_indices=(0, 1, 2, 3),
    ),
    neck=dict(in_channels=128),
    decode_head=dict(in_channels=[128, 128, 128, 128], channels=32),
    auxiliary_head=dict(in_channels=128, channels=32),
)
train_cfg = dict(max_iters=100)
