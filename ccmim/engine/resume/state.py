"""Check that the state in a checkpoint fits the model and optimizer."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn, uint8

from ccmim.checkpoints.config_text import read_values
from ccmim.engine.resume.settings import ABSENT, Difference, Shown
from ccmim.teachers.frozen import Frozen

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
    differences = [*_model(bare(runner), checkpoint['state_dict'])]
    differences += _optimizers(runner, checkpoint, record)
    differences += _frozen(bare(runner), record)
    return differences + [*_schedulers(runner, checkpoint)]


def frozen_digests(model: nn.Module) -> dict[str, str]:
    """Hash the weights that a model learns from and no checkpoint holds.

    Args:
        model: Whose teachers are looked at.

    Returns:
        Sixteen hexadecimal digits for each teacher, by name.
    """
    digests = {}
    for name, part in model.named_modules():
        if isinstance(part, Frozen):
            digest = hashlib.blake2b(digest_size=8)
            for key, value in part.network.state_dict().items():
                digest.update(key.encode())
                digest.update(
                    value.detach().cpu().contiguous().flatten().view(uint8).numpy()
                )
            digests[name.removesuffix('.frozen')] = digest.hexdigest()
    return digests


def _frozen(model: nn.Module, record: Mapping[str, Any]) -> Iterator[Difference]:
    saved = record.get('frozen')
    if saved is None:
        return
    now = frozen_digests(model)
    for name in sorted({*saved, *now}):
        was, is_ = (d.get(name) for d in (saved, now))
        if was != is_:
            shown = [Shown(f'weights {one}') if one else ABSENT for one in (was, is_)]
            yield Difference(f'model.{name}', *shown)


def _model(model: nn.Module, state: Mapping[str, Any]) -> Iterator[Difference]:
    own = model.state_dict()
    saved = {name.removeprefix('module.'): value for name, value in state.items()}
    for name in [*own, *(name for name in saved if name not in own)]:
        if name.endswith(_OF_THE_DATA):
            continue
        was, now = _form(saved.get(name)), _form(own.get(name))
        if was != now:
            yield _Part(f'state_dict.{name}', was, now)


def _optimizers(
    runner: Runner, checkpoint: Mapping[str, Any], record: Mapping[str, Any]
) -> Iterator[Difference]:
    wrapper, saved = runner.optim_wrapper, checkpoint['optimizer']
    if not isinstance(wrapper, OptimWrapperDict):
        yield from _optimizer(runner, wrapper, saved, checkpoint['meta'], record)
        return
    for name, one in wrapper.items():
        if not isinstance(saved.get(name), Mapping):
            yield _Part(f'optimizer.{name}', ABSENT, Shown(type(one).__name__))
            continue
        # The record covers a single optimizer.
        for difference in _optimizer(runner, one, saved[name], checkpoint['meta'], {}):
            yield difference._replace(key=f'{name}: {difference.key}')
    for name in sorted(saved.keys() - dict(wrapper.items()).keys()):
        yield _Part(f'optimizer.{name}', Shown('an optimizer'), ABSENT)


def _optimizer(
    runner: Runner,
    wrapper: Any,
    saved: Mapping[str, Any],
    meta: Mapping[str, Any],
    record: Mapping[str, Any],
) -> Iterator[Difference]:
    groups, old_groups = wrapper.optimizer.param_groups, saved.get('param_groups')
    if not isinstance(old_groups, list):
        yield _Part('optimizer', ABSENT, Shown(type(wrapper.optimizer).__name__))
        return
    sizes = [[len(group['params']) for group in g] for g in (old_groups, groups)]
    if sizes[0] != sizes[1]:
        yield _Part('optimizer: parameters in each group', *sizes)
        return
    names = _names_in(runner, wrapper)
    old_names = record.get('parameters', names)
    for i, (was, now) in enumerate(zip(old_names, names, strict=False)):
        if was != now:
            yield _Part(f'optimizer: parameter {i}', Shown(was), Shown(now))
            return
    lost = {*groups[0]} - {*old_groups[0]} - {'initial_lr'}
    extra = {*old_groups[0]} - {*groups[0]} - {'initial_lr'}
    if lost and extra:
        yield _Part('optimizer: settings', sorted(extra), sorted(lost))
    keeps = 'betas' in groups[0] and meta['iter'] > 0
    wanted, count = record.get('states', int(keeps)), len(saved.get('state') or {})
    if count < wanted:
        yield _Part('optimizer: parameters with a state', wanted, count)
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
    if was and now and _length(checkpoint) != _planned(runner.cfg):
        return  # stages of a longer or shorter run: one too short is left out
    if len(was or ()) != len(now or ()):
        counts = [Shown(f'{len(part or ())} schedulers') for part in (was, now)]
        yield Difference('param_scheduler', *counts)


def _length(checkpoint: Mapping[str, Any]) -> Any:
    try:
        return _planned(read_values(checkpoint['meta'].get('config_text') or ''))
    except ValueError:
        return None


def _planned(cfg: Mapping[str, Any]) -> Any:
    loop = cfg.get('train_cfg') or {}
    return loop.get('max_epochs'), loop.get('max_iters')


def _form(value: Any) -> Shown:
    if not isinstance(value, Tensor):
        return ABSENT if value is None else Shown(type(value).__name__)
    kind = str(value.dtype).removeprefix('torch.')
    return Shown(f'{tuple(value.shape)} {kind}')


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else _form(value)
