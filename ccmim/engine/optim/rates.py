"""The learning rate of every parameter group at every step of a run."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, DefaultScope

from ccmim.engine.optim.schedule import fit_schedule


class Schedule(NamedTuple):
    """What a run trains with.

    Attributes:
        names: Of the parameter groups, from the lowest rate to the highest.
        rates: Learning rates, of shape (points, groups).
        steps: Step of each point, of shape (points,).
        unit: 'epochs' or 'steps': what ``steps`` counts.
    """

    names: list[str]
    rates: np.ndarray
    steps: np.ndarray
    unit: str


def learning_rates(
    cfg: Config, epoch_length: int | None = None, points: int = 4000
) -> Schedule:
    """Run the schedulers of a config over its whole length, without training.

    The optimizer and the schedulers are the real ones. A long run is sampled: epochs
    get fewer steps than they have, and what is counted in steps is shortened alike.

    Args:
        cfg: With ``model``, ``optim_wrapper``, ``param_scheduler`` and ``train_cfg``;
            left as it is.
        epoch_length: Steps of an epoch, needed only where a run by epochs has a
            scheduler by steps.
        points: How many steps to take at least, where the run has so many.

    Returns:
        The schedule.

    Raises:
        ValueError: If the config trains nothing, or ``epoch_length`` is needed.
    """
    cfg = cfg.copy()
    length = cfg.get('train_cfg') or {}
    by_epoch = 'max_epochs' in length
    total = length.get('max_epochs' if by_epoch else 'max_iters')
    if not total:
        raise ValueError(
            'the config trains nothing: set train_cfg.max_epochs or max_iters'
        )
    listed = cfg.get('param_scheduler') or []
    listed = [listed] if isinstance(listed, Mapping) else listed
    by_steps = [s.type for s in listed if _counts_steps(s)]
    if by_epoch and by_steps and not epoch_length:
        raise ValueError(
            f'{by_steps[0]} counts steps in a run by epochs: say how many steps an '
            'epoch has (--epoch-length)'
        )
    per_epoch = -(-points // total) if by_epoch else 1  # of the points
    real = (epoch_length or per_epoch) if by_epoch else None
    steps_in_all = total * real if real else total
    shrink = real / per_epoch if real else max(1, total / points)
    fitted = fit_schedule(listed, total if by_epoch else None, steps_in_all, real)
    with (
        DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'ccmim')),
        torch.device('meta'),  # no memory, no time for weights
    ):
        cfg.optim_wrapper.optimizer.pop('fused', None)  # there is none without memory
        model = MODELS.build(cfg.model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        schedulers = [
            PARAM_SCHEDULERS.build(
                scheduler
                if scheduler.get('by_epoch', True)
                else _shortened(scheduler, shrink),
                default_args=dict(optimizer=wrapper),
            )
            for scheduler in fitted
        ]
    groups = wrapper.optimizer.param_groups
    rates, steps = [], []
    count = total * per_epoch if by_epoch else int(total / shrink)
    for step in range(count):
        rates.append([group['lr'] for group in groups])
        steps.append(step / per_epoch if by_epoch else step * shrink)
        last_of_epoch = (step + 1) % per_epoch == 0
        for scheduler in schedulers:
            if not scheduler.by_epoch or (by_epoch and last_of_epoch):
                scheduler.step()
    names = [group.get('name', f'group {i}') for i, group in enumerate(groups)]
    unit = 'epochs' if by_epoch else 'steps'
    return Schedule(names, np.array(rates), np.array(steps), unit)


def _counts_steps(scheduler: Mapping[str, Any]) -> bool:
    counts = [scheduler.get(key) for key in ('begin', 'end', 'T_max', 'step_size')]
    counts += scheduler.get('milestones', [])
    # Zero is the same in any unit, and a fraction in none.
    return not scheduler.get('by_epoch', True) and any(
        count and not isinstance(count, float) for count in counts
    )


def _shortened(scheduler: dict[str, Any], shrink: float) -> dict[str, Any]:
    short = dict(scheduler)
    for key in ('begin', 'end', 'T_max', 'step_size'):
        if scheduler.get(key):
            short[key] = max(1, round(scheduler[key] / shrink))
    if 'milestones' in scheduler:
        short['milestones'] = [round(m / shrink) for m in scheduler['milestones']]
    return short
