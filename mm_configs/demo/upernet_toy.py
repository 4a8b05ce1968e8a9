r"""UperNet on the built-in toy scenes, eight classes.

    python tools/make_toy_scenes.py work_dirs/toy_scenes
    tools/dist_train.sh mm_configs/demo/upernet_toy.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. About a minute on two CPU cores.
"""

_base_ = [
    '../_base_/models/upernet_vit_slim.py',
    '../_base_/datasets/toy_classes.py',
    '../_base_/schedules/short.py',
    '../_base_/segmentation.py',
]
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dim=192, depth=6, num_heads=3),
        img_size=128,
        out_indices=(2, 3, 4, 5),
    ),
    decode_head=dict(num_classes=8),
    auxiliary_head=dict(num_classes=8),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_iters=200)
_base_.param_scheduler[0].end = 50 / 200
_base_.param_scheduler[1].begin = 50 / 200
