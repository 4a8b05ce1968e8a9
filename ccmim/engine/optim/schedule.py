"""Schedules in fractions of a run, so that one key sets its length."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import IterBasedTrainLoop

_COUNTS = ('begin', 'end', 'T_max', 'step_size', 'milestones')


def fit_schedule(
    schedulers: Any,
    max_epochs: int | None,
    max_iters: int,
    epoch_length: int | None = None,
) -> Any:
    """Turn fractions of a run into the steps or epochs that they stand for.

    An integer counts epochs or steps, as in mmengine; a float from 0 to 1 is a fraction
    of the whole run: ``LinearLR(begin=0, end=0.05)`` warms up for the first twentieth,
    whatever the length. What ends with the run needs no ``end``. A stage that would
    last less than two steps is left out: mmengine's LinearLR never reaches the full
    rate in one.

    Args:
        schedulers: ``param_scheduler`` of a config: one, a list, or such by optimizer.
        max_epochs: Epochs of the run; None where it counts iterations.
        max_iters: Steps of the run.
        epoch_length: Steps of an epoch, for ``convert_to_iter_based``.

    Returns:
        The same without fractions. ``convert_to_iter_based`` has been carried out.

    Raises:
        ValueError: If a count is neither an integer nor a fraction from 0 to 1, or a
            stage ends before it begins.
    """
    if schedulers is None:
        return None
    if isinstance(schedulers, Mapping) and 'type' not in schedulers:
        return {
            name: fit_schedule(part, max_epochs, max_iters, epoch_length)
            for name, part in schedulers.items()
        }
    single = not isinstance(schedulers, Sequence)
    fitted: list[Any] = []
    for i, scheduler in enumerate([schedulers] if single else schedulers):
        if not isinstance(scheduler, Mapping):  # built already
            fitted.append(scheduler)
            continue
        whole = dict(scheduler)
        by_epoch = whole.get('by_epoch', True)
        total, unit = max_epochs if by_epoch else max_iters, 1
        if whole.pop('convert_to_iter_based', False) and by_epoch and epoch_length:
            total, unit = max_iters, epoch_length
            whole['by_epoch'] = False
        if total is None:
            raise ValueError(
                f'param_scheduler.{i} ({whole["type"]}) counts epochs, but the run '
                'counts iterations: set by_epoch=False'
            )
        for name in _COUNTS:
            if whole.get(name) is not None:
                key = f'param_scheduler.{i}.{name}'
                whole[name] = _count(whole[name], total, unit, key)
        whole.setdefault('end', total)
        begin, end = whole.get('begin', 0), whole['end']
        if end < begin:
            raise ValueError(
                f'param_scheduler.{i} ({whole["type"]}) ends at {end}, before it '
                f'begins at {begin}'
            )
        if begin >= total > 0:
            print_log(
                f'param_scheduler.{i} ({whole["type"]}) begins after the end of the '
                'run, and changes nothing',
                level=logging.WARNING,
            )
        if end - begin < 2:
            _build_once(whole)
        else:
            fitted.append(whole)
    return fitted[0] if single and fitted else fitted


def _build_once(scheduler: dict[str, Any]) -> None:
    # What is left out is checked all the same, for misspelt arguments.
    longer = dict(scheduler, end=scheduler.get('begin', 0) + 2)
    group = dict(params=[torch.zeros(1)], part=scheduler.get('part', 'rest'))
    optimizer = torch.optim.SGD([group], lr=1.0)
    PARAM_SCHEDULERS.build(longer, default_args=dict(optimizer=optimizer))


def fit_to_loop(schedulers: Any, loop: Any) -> Any:
    """Turn fractions into what they stand for in a training loop of mmengine's."""
    # A loop by iterations says that it has one epoch.
    epochs = None if isinstance(loop, IterBasedTrainLoop) else loop.max_epochs
    return fit_schedule(schedulers, epochs, loop.max_iters, len(loop.dataloader))


def _count(value: Any, total: int, unit: int, key: str) -> Any:
    if isinstance(value, list | tuple):
        return [_count(v, total, unit, f'{key}.{i}') for i, v in enumerate(value)]
    if isinstance(value, float) and 0 <= value <= 1:
        return round(value * total)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(
            f'{key}={value!r} must be a whole number, or a fraction of the run from '
            '0.0 to 1.0'
        )
    return value * unit
