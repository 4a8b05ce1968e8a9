"""Check that the state in a checkpoint fits the model and optimizer."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.runner import Runner
from torch import nn, uint8

from ccmim.checkpoints.config_text import read_values
from ccmim.engine.resume.optimizer_state import (
    StateDifference,
    bare,
    differing_optimizers,
    form,
)
from ccmim.engine.resume.settings import ABSENT, Difference, Shown
from ccmim.teachers.frozen import Frozen

# Resized by those who own them: maps of each image.
_OF_THE_DATA = ('scorer.maps', 'scorer.scales')


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
    differences += differing_optimizers(runner, checkpoint, record)
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
        was, now = form(saved.get(name)), form(own.get(name))
        if was != now:
            yield StateDifference(f'state_dict.{name}', was, now)


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
