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
    'default_hooks.logger.interval': 0,
}


def check_values(cfg: Config) -> None:
    """Check the counts of a run, and settings that belong together.

    Args:
        cfg: A whole config.

    Raises:
        ValueError: Naming the key, its value and what it must be.
    """
    for key, least in _LEAST.items():
        value = _get(cfg._cfg_dict, key)
        if value is None:
            continue
        # 1e5 is a whole number.
        if not _is_number(value) or not float(value).is_integer() or value < least:
            raise ValueError(f'{key}={value!r} must be a whole number from {least} on')
    base = _get(cfg._cfg_dict, 'auto_scale_lr.base_batch_size')
    # --auto-scale-lr leaves a fraction where it has divided by the accumulated steps.
    if base is not None and not (_is_number(base) and base > 0):
        raise ValueError(f'auto_scale_lr.base_batch_size={base!r} must be positive')
    _check_slow(cfg)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or {}
        if loader.get('persistent_workers') and not loader.get('num_workers'):
            raise ValueError(
                f'{name}.num_workers=0 leaves no workers to keep: set '
                f'{name}.persistent_workers=False as well'
            )


def _check_slow(cfg: Config) -> None:
    slow = _get(cfg._cfg_dict, 'model.slow')
    if not isinstance(slow, Mapping):
        return
    interval = slow.get('interval', 1)
    accumulated = _get(cfg._cfg_dict, 'optim_wrapper.accumulative_counts') or 1
    if interval != accumulated:
        raise ValueError(
            f'model.slow.interval={interval} and optim_wrapper.accumulative_counts='
            f'{accumulated} differ: set both to the same number, as the slow network '
            'follows once an update'
        )


def _is_number(value: Any) -> bool:
    # True is a number to Python.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _get(node: Any, key: str) -> Any:
    for part in key.split('.'):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node
