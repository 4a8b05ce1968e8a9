"""Write the pretraining config for the chosen settings."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.choose import Settings
from ccmim.engine.config import read_config

_LEAST_STEPS = 100  # before DenseCL's cells count, as in its small config
_LEAST_SCALE = 0.2  # area of the smallest crop
_QUEUES = 'QueueContrast', 'QueueRelations', 'NeighborOrder'
_LOOKS = 20  # epochs from one probe or picture to the next: a hundredth of the time


def make_recipe(
    settings: Settings,
    data: Sequence[str],
    exclude: Path | None = None,
    begins_from_weights: bool = False,
) -> Config:
    """Make a whole config.

    Args:
        settings: What to train.
        data: Absolute paths or patterns of the images.
        exclude: List of images to leave out.
        begins_from_weights: Whether the backbone has learned already.

    Returns:
        The config, without a work dir. Its learning rate is still to be scaled.
    """
    cfg = read_config(str(_leaf(settings, begins_from_weights)))
    model = cfg.model
    old = model.backbone.img_size
    model.backbone.update(arch=settings.size, img_size=settings.image_size)
    if settings.patch_size != model.backbone.get('patch_size', 16):
        model.backbone.patch_size = settings.patch_size
    if 'cells' in model:  # of DenseCL, which divide the patches on a side
        side = settings.image_size // settings.patch_size
        model.cells = max(n for n in range(1, model.cells + 1) if side % n == 0)
    loader = cfg.train_dataloader
    loader.update(
        batch_size=settings.batch_size,
        num_workers=settings.workers,
        persistent_workers=True,
        pin_memory=torch.cuda.is_available(),
    )
    loader.dataset.data = data[0] if len(data) == 1 else list(data)
    loader.dataset.least_side = math.ceil(1.2 * settings.image_size / _LEAST_SCALE**0.5)
    if 'captions' in loader.dataset:  # those of other photos; unless options name some
        loader.dataset.update(captions=None, part='all')
    if exclude is not None:
        loader.dataset.exclude = str(exclude)
    for transform in loader.dataset.transform:
        _resize_crop(transform, old, settings.image_size)
    _set_epochs(cfg, settings.epochs)
    cfg.optim_wrapper.accumulative_counts = 1
    cfg.auto_scale_lr.enable = True
    return cfg


def fit_queues(cfg: Config, photos: int) -> None:
    """Let no queue hold more than half of the photos, so that it tells of others."""
    for part in cfg.model.values():
        if isinstance(part, dict) and part.get('type') in _QUEUES:
            # NeCo adds patches of two crops of a photo, and draws some that differ.
            most = photos // 2 * (2 * part.num_new if 'num_new' in part else 1)
            part.length = min(part.length, max(most, part.get('num_references', 1)))


def _leaf(settings: Settings, begins_from_weights: bool) -> Path:
    """Choose the config of the method that is nearest; one small config is enough."""
    configs, method = home() / 'mm_configs', settings.method
    small = configs / 'small' / f'{method}_vitt.py'
    files = [
        configs / 'pretrain' / f'{method}_vit{s}.py' for s in settings.size[0] + 'b'
    ]
    if settings.patch_size == 4:
        files = [small.with_name(f'{method}_vitt_cifar10.py')]
    elif settings.size == 'tiny' or method == 'flip' or begins_from_weights:
        files = []  # the others' rates are for large batches: nothing for few photos
    return next((file for file in files if file.exists()), small)


def _resize_crop(transform: Any, old: int, new: int) -> None:
    if transform.get('size') == old:
        transform.size = new
    inside = transform.get('transform', ())
    for part in [inside] if isinstance(inside, dict) else inside:
        _resize_crop(part, old, new)


def _set_epochs(cfg: Config, epochs: int) -> None:
    """Set the length: schedule and stages are in fractions of it."""
    ratio = epochs / cfg.train_cfg.max_epochs
    cfg.train_cfg.max_epochs = epochs
    if (own := cfg.model.get('dense_begin', 0)) > _LEAST_STEPS:
        cfg.model.dense_begin = min(own, max(_LEAST_STEPS, round(own * ratio)))
    hooks, often = cfg.default_hooks, max(1, epochs // 10)
    hooks.checkpoint.interval = often
    for name in ('probe', 'feature_watch', 'pictures'):
        hooks[name].interval = min(often, _LOOKS)
    hooks.probe.pop('knn', None)  # on the labels of another data set
