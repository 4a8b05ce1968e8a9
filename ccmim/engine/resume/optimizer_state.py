"""Check that the optimizer's state in a checkpoint is what this one would make."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer

from ccmim.engine.resume.settings import ABSENT, Difference, Shown

StateDifference = partial(Difference, is_state=True)
# Of a group, and not written by every version of PyTorch and mmengine.
_OPTIONAL = {'initial_lr', 'decoupled_weight_decay'}


def bare(runner: Runner) -> nn.Module:
    """The model of a run without the wrapper for several processes."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def parameter_names(runner: Runner) -> list[str]:
    """Name the parameters of a run's optimizer, in its order."""
    return _names_in(runner, runner.optim_wrapper)


def _names_in(runner: Runner, wrapper: Any) -> list[str]:
    names = {id(value): name for name, value in bare(runner).named_parameters()}
    # mmengine's `param_groups` have one more, without parameters.
    groups = getattr(wrapper, 'optimizer', None)
    groups = groups.param_groups if groups is not None else []
    return [names.get(id(value), '?') for g in groups for value in g['params']]


def num_states(checkpoint: Mapping[str, Any]) -> int:
    """Count the parameters of which the optimizer in a checkpoint keeps something."""
    return len((checkpoint.get('optimizer') or {}).get('state') or {})


def differing_optimizers(
    runner: Runner, checkpoint: Mapping[str, Any], record: Mapping[str, Any]
) -> Iterator[Difference]:
    """Compare the optimizers of a run with a checkpoint's: see ``differing_state``."""
    wrapper, saved = runner.optim_wrapper, checkpoint['optimizer']
    if not isinstance(wrapper, OptimWrapperDict):
        yield from _optimizer(runner, wrapper, saved, checkpoint['meta'], record)
        return
    for name, one in wrapper.items():
        if not isinstance(saved.get(name), Mapping):
            yield StateDifference(
                f'optimizer.{name}', ABSENT, Shown(type(one).__name__)
            )
            continue
        # The record covers a single optimizer.
        for difference in _optimizer(runner, one, saved[name], checkpoint['meta'], {}):
            yield difference._replace(key=f'{name}: {difference.key}')
    for name in sorted(saved.keys() - dict(wrapper.items()).keys()):
        yield StateDifference(f'optimizer.{name}', Shown('an optimizer'), ABSENT)


def _optimizer(
    runner: Runner,
    wrapper: Any,
    saved: Mapping[str, Any],
    meta: Mapping[str, Any],
    record: Mapping[str, Any],
) -> Iterator[Difference]:
    groups, old_groups = wrapper.optimizer.param_groups, saved.get('param_groups')
    if not isinstance(old_groups, list):
        yield StateDifference(
            'optimizer', ABSENT, Shown(type(wrapper.optimizer).__name__)
        )
        return
    sizes = [[len(group['params']) for group in g] for g in (old_groups, groups)]
    if sizes[0] != sizes[1]:
        yield StateDifference('optimizer: parameters in each group', *sizes)
        return
    names = _names_in(runner, wrapper)
    old_names = record.get('parameters', names)
    for i, (was, now) in enumerate(zip(old_names, names, strict=False)):
        if was != now:
            yield StateDifference(f'optimizer: parameter {i}', Shown(was), Shown(now))
            return
    yield from _settings(old_groups, groups)
    lost = {*groups[0]} - {*old_groups[0]} - {'initial_lr'}
    extra = {*old_groups[0]} - {*groups[0]} - {'initial_lr'}
    if lost and extra:
        yield StateDifference('optimizer: settings', sorted(extra), sorted(lost))
    keeps = 'betas' in groups[0] and meta['iter'] > 0
    wanted, count = record.get('states', int(keeps)), len(saved.get('state') or {})
    if count < wanted:
        yield StateDifference('optimizer: parameters with a state', wanted, count)
    state = saved.get('state') or {}
    numbers = [number for group in old_groups for number in group['params']]
    expected = _made_by(wrapper.optimizer)
    for name, number, forms in zip(names, numbers, expected, strict=True):
        for key, now in forms.items() if number in state else ():
            was = form(state[number].get(key))
            if was != now:
                yield StateDifference(f'optimizer.{key} of {name}', was, now)


def _settings(
    old_groups: list[dict[str, Any]], groups: list[dict[str, Any]]
) -> Iterator[Difference]:
    """Compare the kinds of settings: their values may change with the schedule."""
    for i, (old, group) in enumerate(zip(old_groups, groups, strict=True)):
        for key in group.keys() - _OPTIONAL - {'params'}:
            was, now = old.get(key, ABSENT), group[key]
            if now not in (None, False) and not _fits(was, now):
                yield StateDifference(f'optimizer: {key} of group {i}', was, now)


def _fits(was: Any, now: Any) -> bool:
    if isinstance(now, tuple | list):
        same = isinstance(was, tuple | list) and len(was) == len(now)
        return same and all(map(_fits, was, now))
    if isinstance(now, int | float):  # bool too: False may take the place of True
        return isinstance(was, int | float) and abs(was) < float('inf')
    return was is not ABSENT


def _made_by(optimizer: Optimizer) -> list[dict[str, Shown]]:
    """Describe what an optimizer would keep of each parameter, by taking a step.

    A copy of it takes the step, with two values along each dimension of a parameter.

    Args:
        optimizer: Whose parameters and state stay as they are.

    Returns:
        Shapes and types by name, for each parameter; nothing of an optimizer that needs
        more than gradients, such as a closure.
    """
    values = [value for group in optimizer.param_groups for value in group['params']]
    small = [
        torch.zeros((2,) * value.ndim, dtype=value.dtype, device=value.device)
        for value in values
    ]
    for one in small:
        one.grad = torch.zeros_like(one)
    copy = object.__new__(type(optimizer))
    copy.__dict__.update(optimizer.__dict__, state=defaultdict(dict))
    copy._optimizer_step_pre_hooks = copy._optimizer_step_post_hooks = {}
    left = iter(small)
    copy.param_groups = [
        {**group, 'params': list(islice(left, len(group['params'])))}
        for group in optimizer.param_groups
    ]
    try:
        type(optimizer).step(copy)
    except Exception:  # whatever it raises without its closure
        return [{} for _ in small]
    return [
        {
            key: _shown(
                value.shape if made.shape == one.shape else made.shape, made.dtype
            )
            for key, made in copy.state[one].items()
            if isinstance(made, Tensor) and (made.shape == one.shape or not made.ndim)
        }
        for one, value in zip(small, values, strict=True)
    ]


def form(value: Any) -> Shown:
    """Describe a tensor by shape and type, anything else by its type."""
    if not isinstance(value, Tensor):
        return ABSENT if value is None else Shown(type(value).__name__)
    return _shown(value.shape, value.dtype)


def _shown(shape: torch.Size, dtype: torch.dtype) -> Shown:
    return Shown(f'{tuple(shape)} {str(dtype).removeprefix("torch.")}')
