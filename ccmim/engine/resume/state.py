"""Whether the state in a checkpoint is that of the model and optimizer of a run."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from ccmim.engine.resume.settings import ABSENT, Difference, Shown

# What optimizers keep in the shape of the parameter.
_LIKE_THE_PARAMETER = {
    *('exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer', 'square_avg'),
    *('acc_delta', 'exp_inf', 'grad_avg', 'sum', 'prev', 'step_size'),
}
_Part = partial(Difference, is_state=True)
# Resized by those who own them: maps of each image.
_OF_THE_DATA = ('scorer.maps', 'scorer.scales')


def bare(runner: Runner) -> nn.Module:
    """The model of a run without the wrapper for several processes."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def parameter_names(runner: Runner) -> list[str]:
    """Name the parameters of a run's optimizer, in its order."""
    names = {id(value): name for name, value in bare(runner).named_parameters()}
    # mmengine's `param_groups` have one more, without parameters.
    groups = getattr(runner.optim_wrapper, 'optimizer', None)
    groups = groups.param_groups if groups is not None else []
    return [names.get(id(value), '?') for g in groups for value in g['params']]


def num_states(checkpoint: Mapping[str, Any]) -> int:
    """Count the parameters of which the optimizer in a checkpoint keeps something."""
    return len((checkpoint.get('optimizer') or {}).get('state') or {})


def differing_state(
    runner: Runner, checkpoint: Mapping[str, Any], record: Mapping[str, Any]
) -> list[Difference]:
    """Compare names, shapes and types, before anything is loaded.

    PyTorch's fused optimizers do not look at the shapes of their own state: another one
    ends the process with a segmentation fault.

    Args:
        runner: With model, optimizer and schedulers as built.
        checkpoint: What is about to be loaded.
        record: What ``ResumeHook`` noted in it; empty for those before.
    """
    found = [*_model(bare(runner), checkpoint['state_dict'])]
    found += _optimizer(runner, checkpoint, record)
    return found + [*_schedulers(runner, checkpoint)]


def _model(model: nn.Module, state: Mapping[str, Any]) -> Iterator[Difference]:
    own = model.state_dict()
    saved = {name.removeprefix('module.'): value for name, value in state.items()}
    for name in [*own, *(name for name in saved if name not in own)]:
        if name.endswith(_OF_THE_DATA):
            continue
        was, now = _form(saved.get(name)), _form(own.get(name))
        if was != now:
            yield _Part(f'state_dict.{name}', was, now)


def _optimizer(
    runner: Runner, checkpoint: Mapping[str, Any], record: Mapping[str, Any]
) -> Iterator[Difference]:
    wrapper, saved = runner.optim_wrapper, checkpoint['optimizer']
    if not hasattr(wrapper, 'optimizer'):  # several optimizers; torch compares groups
        return
    groups, old_groups = wrapper.optimizer.param_groups, saved.get('param_groups')
    if not isinstance(old_groups, list):
        yield _Part('optimizer', ABSENT, Shown(type(wrapper.optimizer).__name__))
        return
    sizes = [[len(group['params']) for group in g] for g in (old_groups, groups)]
    if sizes[0] != sizes[1]:
        yield _Part('optimizer: parameters in each group', *sizes)
        return
    names = parameter_names(runner)
    old_names = record.get('parameters', names)
    for i, (was, now) in enumerate(zip(old_names, names, strict=False)):
        if was != now:
            yield _Part(f'optimizer: parameter {i}', Shown(was), Shown(now))
            return
    lost = {*groups[0]} - {*old_groups[0]} - {'initial_lr'}
    extra = {*old_groups[0]} - {*groups[0]} - {'initial_lr'}
    if lost and extra:
        yield _Part('optimizer: settings', sorted(extra), sorted(lost))
    keeps = 'betas' in groups[0] and checkpoint['meta']['iter'] > 0
    wanted, found = record.get('states', int(keeps)), num_states(checkpoint)
    if found < wanted:
        yield _Part('optimizer: parameters with a state', wanted, found)
    yield from _moments(
        names,
        [value for group in groups for value in group['params']],
        [number for group in old_groups for number in group['params']],
        saved.get('state') or {},
    )


def _moments(
    names: Iterable[str],
    parameters: Iterable[nn.Parameter],
    numbers: Iterable[int],
    state: Mapping[int, Mapping[str, Any]],
) -> Iterator[Difference]:
    for name, value, number in zip(names, parameters, numbers, strict=True):
        for key, moment in state.get(number, {}).items():
            if key in _LIKE_THE_PARAMETER and _shape(moment) != tuple(value.shape):
                full = f'optimizer.{key} of {name}'
                yield _Part(full, _shape(moment), tuple(value.shape))


def _schedulers(runner: Runner, checkpoint: Mapping[str, Any]) -> Iterator[Difference]:
    now, was = runner.param_schedulers, checkpoint.get('param_schedulers')
    if isinstance(now, dict) or isinstance(was, dict):
        return
    if len(was or ()) != len(now or ()):
        counts = [Shown(f'{len(part or ())} schedulers') for part in (was, now)]
        yield Difference('param_scheduler', *counts)


def _form(value: Any) -> Shown:
    if not isinstance(value, Tensor):
        return ABSENT if value is None else Shown(type(value).__name__)
    kind = str(value.dtype).removeprefix('torch.')
    return Shown(f'{tuple(value.shape)} {kind}')


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else _form(value)
