"""Find what keeps images from recurring, which cached teachers need."""

import logging
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from ccmim.engine.settings.sizes import dicts

_ALWAYS_RANDOM = ('KeptImages', 'ImagesWithCropBox')  # data sets
_WHOLE = [1.0, 1.0]
# Transforms that give a photo few forms: crops are looked at apart.
_REPEATED = ('RandomResizedCrop', 'RandomHorizontalFlip', 'Resize', 'ResizeCenterCrop')
_REPEATED += ('ToUint8Tensor',)


def random_parts(cfg: Config) -> dict[str, Any]:
    """List the keys that change the pixels of a photo from one epoch to the next.

    Flips are none of them: a photo and its mirror image both recur.

    Args:
        cfg: A whole config of pretraining.

    Returns:
        By key, the value with which photos recur.
    """
    changes: dict[str, Any] = {}
    loader, model = cfg.get('train_dataloader') or {}, cfg.get('model') or {}
    key = 'train_dataloader.dataset.transform'
    for name, part in dicts((loader.get('dataset') or {}).get('transform'), key):
        if _named(part) == 'RandomResizedCrop' and [*part.get('scale', ())] != _WHOLE:
            changes[f'{name}.scale'] = _WHOLE
    if _named(model) == 'RelationalDistill':
        if model.get('mix', True):
            changes['model.mix'] = False
        if model.get('perturbation'):
            changes['model.perturbation'] = []
    return changes


def check_recurrence(cfg: Config) -> None:
    """Refuse a cached teacher that would never see an image again.

    Raises:
        ValueError: Naming the keys to set.
    """
    model, loader = cfg.get('model'), cfg.get('train_dataloader')
    parts = [part for _, part in dicts(model, 'model')]
    if not any(_named(part) == 'CachedTeacher' for part in parts):
        return
    dataset = (loader.get('dataset') if isinstance(loader, Mapping) else None) or {}
    changes = random_parts(cfg)
    if _named(dataset) in _ALWAYS_RANDOM:
        changes = {'train_dataloader.dataset.type': 'UnlabeledImages', **changes}
    for key, part in dicts(dataset.get('transform'), 'transform'):
        if (name := _named(part)) not in (*_REPEATED, 'None'):
            print_log(
                f'train_dataloader.dataset.{key}: where {name} draws pixels anew, a '
                'CachedTeacher finds no image again',
                'current',
                logging.WARNING,
            )
    if changes:
        words = ' '.join(f'{k}={v}'.replace(' ', '') for k, v in changes.items())
        raise ValueError(
            'a CachedTeacher finds no image again whose pixels are drawn anew in each '
            f'epoch: set {words}, or leave it out'
        )


def _named(part: Mapping[str, Any]) -> str:
    return str(part.get('type')).rpartition('.')[2]
