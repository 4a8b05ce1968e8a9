"""How much of the study in docs/study.md is done."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Budget:
    """How much of the study is done.

    Attributes:
        kind: 'cifar10' for 32 px or 'photos' for 128 px: which configs.
        epochs: Of pretraining, at equal epochs.
        tasks: Configs in mm_configs/small to be tested on, by name.
        pretrain_options: ``KEY=VALUE`` changes of all pretraining configs.
        options: ``KEY=VALUE`` changes of all tasks.
    """

    kind: str
    epochs: int
    tasks: dict[str, str]
    pretrain_options: Sequence[str] = field(default_factory=tuple)
    options: Sequence[str] = field(default_factory=tuple)


_CIFAR10 = {'cifar10': 'knn_vitt_cifar10.py'}
_EVERY_EPOCH = (
    'default_hooks.checkpoint.interval=1',
    'default_hooks.checkpoint.max_keep_ckpts=1',
    'default_hooks.probe.interval=1',
    'default_hooks.pictures.interval=1',
)
_GPU = (
    'optim_wrapper.dtype=bfloat16',
    'default_hooks.checkpoint.interval=5',
    'default_hooks.checkpoint.max_keep_ckpts=1',
    'train_dataloader.num_workers=4',
)
BUDGETS = {
    # A test of the study itself: needs some dozens of photos in CIFAR-10's folders.
    'tiny': Budget(
        kind='cifar10',
        epochs=2,
        tasks=_CIFAR10,
        pretrain_options=(
            *_EVERY_EPOCH,
            'default_hooks.logger.interval=1',
            'train_dataloader.batch_size=8',
            'train_dataloader.num_workers=0',
            'train_dataloader.persistent_workers=False',
        ),
        options=tuple(
            f'{name}_dataloader.{change}'
            for name in ('train', 'val')
            for change in ('num_workers=0', 'persistent_workers=False')
        ),
    ),
    # A core takes five to ten minutes for an arm and a seed.
    'cpu': Budget(
        kind='cifar10',
        epochs=5,
        tasks=_CIFAR10,
        pretrain_options=(
            *_EVERY_EPOCH,
            'default_hooks.logger.interval=13',
            # 195 steps of 256 photos leave k-NN below that of random weights.
            'train_dataloader.batch_size=64',
            'default_hooks.probe.knn.train.label_ratio=0.05',
            'default_hooks.probe.knn.test.label_ratio=0.1',
            'train_dataloader.dataset.fraction=0.2',
        ),
        options=(
            'train_dataloader.dataset.label_ratio=0.2',
            'val_dataloader.dataset.label_ratio=0.5',
        ),
    ),
    # The leaves of mm_configs/small as they stand: 20 to 40 minutes for each.
    'cpu_photos': Budget(
        kind='photos',
        epochs=40,
        tasks={
            'cifar10': 'knn_vitt_cifar10_128px.py',
            'penn_fudan': 'mask_rcnn_vitt_penn_fudan.py',
            'camvid': 'upernet_vitt_camvid.py',
        },
    ),
    'full': Budget(
        kind='cifar10',
        epochs=200,
        tasks={**_CIFAR10, 'finetune': 'finetune_vitt_cifar10.py'},
        pretrain_options=(
            *_GPU,
            'default_hooks.logger.interval=39',
            'default_hooks.pictures.interval=50',
        ),
    ),
    'full_photos': Budget(
        kind='photos',
        epochs=400,
        tasks={
            'cifar10': 'knn_vitt_cifar10_128px.py',
            'camvid': 'upernet_vitt_camvid.py',
            'penn_fudan': 'mask_rcnn_vitt_penn_fudan.py',
            'coco_mini': 'mask_rcnn_vitt_coco_mini.py',
        },
        pretrain_options=(
            *_GPU,
            'default_hooks.logger.interval=12',
            'default_hooks.pictures.interval=100',
        ),
    ),
}
