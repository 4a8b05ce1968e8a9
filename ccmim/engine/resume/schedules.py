"""Continue learning rate schedules whose steps or settings have changed."""

import warnings
from collections.abc import Mapping
from typing import Any

from mmengine.optim import BaseOptimWrapper, _ParamScheduler

# What a scheduler counts; the rest of its state is what its config says.
_COUNTS = ('last_step', '_global_step', '_last_value', 'verbose')


def is_changed(schedulers: list[_ParamScheduler], states: list[dict[str, Any]]) -> bool:
    """Return whether schedulers are others than those whose states were saved.

    Args:
        schedulers: New ones, built from a config.
        states: What ``state_dict`` gave, one each.

    Returns:
        Whether a setting or an initial value differs.
    """
    now = [_settings(scheduler.state_dict()) for scheduler in schedulers]
    return now != [_settings(state) for state in states]


def values_of(optimizer: BaseOptimWrapper) -> list[dict[str, Any]]:
    """Copy the settings of each parameter group: learning rate, weight decay, ..."""
    groups = optimizer.param_groups
    return [{k: v for k, v in group.items() if k != 'params'} for group in groups]


def wind_forward(
    schedulers: list[_ParamScheduler],
    optimizer: BaseOptimWrapper,
    start: list[dict[str, Any]],
    steps: int,
    epochs: int,
    length: int,
) -> None:
    """Take new schedulers to a step, as if the run had had them from the start.

    Args:
        schedulers: As they were built.
        optimizer: Whose groups they change.
        start: What ``values_of`` noted when they were built.
        steps: Done, in all.
        epochs: Done, in all.
        length: Steps of an epoch.
    """
    scheduled = {scheduler.param_name for scheduler in schedulers}
    for group, values in zip(optimizer.param_groups, start, strict=True):
        for name in scheduled:
            group[name] = values[name]
            group[f'initial_{name}'] = values[f'initial_{name}']
    with warnings.catch_warnings():
        # No update comes before these steps, which is right here.
        warnings.filterwarnings('ignore', 'Detected call of `scheduler.step')
        for step in range(1, steps + 1):
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
            if step % length == 0 and step // length <= epochs:
                for scheduler in schedulers:
                    if scheduler.by_epoch:
                        scheduler.step()


def _settings(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in _COUNTS}
