"""Numbers of a config that would fail late, or do nothing in silence."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

# The least that each may be.
_LEAST = {
    'train_dataloader.batch_size': 1,
    'train_dataloader.num_workers': 0,
    'val_dataloader.batch_size': 1,
    'val_dataloader.num_workers': 0,
    'test_dataloader.batch_size': 1,
    'test_dataloader.num_workers': 0,
    'train_cfg.max_epochs': 1,
    'train_cfg.max_iters': 1,
    'train_cfg.val_interval': 1,
    'optim_wrapper.accumulative_counts': 1,
    'auto_scale_lr.base_batch_size': 1,
    'default_hooks.logger.interval': 1,
}


def check_values(cfg: Config) -> None:
    """Check the counts of a run, and the settings of loader workers.

    Args:
        cfg: A whole config.

    Raises:
        ValueError: Naming the key, its value and what it must be.
    """
    for key, least in _LEAST.items():
        value = _get(cfg._cfg_dict, key)
        if value is None:
            continue
        # True is a number to Python; 1e5 is a whole one.
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not float(value).is_integer() or value < least:
            raise ValueError(f'{key}={value!r} must be a whole number from {least} on')
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or {}
        if loader.get('persistent_workers') and not loader.get('num_workers'):
            raise ValueError(
                f'{name}.num_workers=0 leaves no workers to keep: set '
                f'{name}.persistent_workers=False as well'
            )


def _get(node: Any, key: str) -> Any:
    for part in key.split('.'):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
