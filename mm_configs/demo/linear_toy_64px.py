r"""A linear head, trained with its ViT on a few toy scenes of 64 px.

    python tools/make_toy_scenes.py work_dirs/toy_scenes --size 64 --train 20
    tools/dist_train.sh mm_configs/demo/linear_toy_64px.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. With twenty scenes UperNet ends far below this head,
from either start (docs/results.md).
"""

_base_ = [
    './knn_toy_64px.py',
    '../_base_/schedules/short.py',
]
model = dict(
    backbone=dict(frozen_stages=-1),
    test_cfg=dict(_delete_=True, mode='whole'),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=1e-3), paramwise_cfg=dict(layer_decay=1.0))
train_cfg = dict(max_iters=100)
