"""What of a run may differ from its checkpoint's, and the refusal of the rest."""

import logging
from typing import Any

from mmengine.runner import Runner

from ccmim.checkpoints import ResumeError
from ccmim.engine.resume.schedules import values_of
from ccmim.engine.resume.settings import Difference, differing_settings
from ccmim.engine.resume.state import differing_state

DATA = 'data'  # what `resume_changed` calls other images
_SHOWN = 4  # differences in one line


def take_settings(runner: Runner, saved: dict[str, Any]) -> None:
    """Put this run's settings into saved groups, of which PyTorch would take theirs.

    What schedulers set stays: they are at another step already.
    """
    schedulers = runner.param_schedulers or []
    scheduled = {s.param_name for s in schedulers} if schedulers else set()
    scheduled |= {f'initial_{name}' for name in scheduled}
    now = values_of(runner.optim_wrapper)
    base = saved.get('base_param_settings')
    old = [*saved['param_groups'], *([base] if isinstance(base, dict) else [])]
    for group, values in zip(old, now, strict=False):
        group.update({k: v for k, v in values.items() if k not in scheduled})


def refuse_differences(
    runner: Runner, checkpoint: dict[str, Any], saved: dict[str, Any]
) -> list[str]:
    """Compare settings and state; the keys of those that the user allows to differ."""
    text = checkpoint['meta'].get('config_text')
    settings: list[Difference] = []
    if text is not None and runner.cfg:
        try:
            settings = differing_settings(text, runner.cfg)
        except ValueError as error:
            reason = f'its settings cannot be compared: {error}'
            log_resume(runner, f'{runner._load_from}: {reason}', logging.WARNING)
    state = differing_state(runner, checkpoint, saved)
    allowed = [one for one in settings + state if _may_differ(one, runner)]
    for difference in allowed:
        log_resume(runner, f'{difference} (resume_changed)', logging.WARNING)
    for name in set(_allowed_names(runner)) - {DATA}:
        if not any(f'{one.key}.'.startswith(f'{name}.') for one in settings + state):
            text = f'resume_changed names {name}, in which nothing has changed'
            log_resume(runner, text, logging.WARNING)
    refused = [one for one in settings + state if one not in allowed]
    if not refused:
        return [one.key for one in allowed]
    if len(refused) > _SHOWN:
        for difference in refused:
            log_resume(runner, str(difference), logging.ERROR)
    shown = '; '.join(map(str, refused[:_SHOWN]))
    more = (
        f'; and {len(refused) - _SHOWN} more, see the log' if refused[_SHOWN:] else ''
    )
    by_name = [one.key for one in refused if not one.is_state]
    option = allow_option(runner, by_name)
    way = (
        f'continue with other numbers by --cfg-options {option}; or '
        if by_name and not any(one.is_state for one in refused)
        else ''
    )
    raise ResumeError(
        f'{runner._load_from} is of another run: {shown}{more}. Restore what has '
        f'changed; or {way}begin a new run with its weights alone: leave out --resume '
        f'and give --cfg-options load_from={runner._load_from} and another --work-dir'
    )


def _may_differ(difference: Difference, runner: Runner) -> bool:
    return not difference.is_state and is_allowed(difference.key, runner)


def is_allowed(key: str, runner: Runner) -> bool:
    """Return whether the config lets this part differ, by ``resume_changed``."""
    return any(
        key == name or key.startswith(f'{name}.') for name in _allowed_names(runner)
    )


def _allowed_names(runner: Runner) -> list[str]:
    names = (runner.cfg or {}).get('resume_changed') or []
    return [names] if isinstance(names, str) else list(names)


def allow_option(runner: Runner, keys: list[str]) -> str:
    """Format the option that allows these differences too."""
    return f'resume_changed={",".join([*_allowed_names(runner), *keys])}'


def log_resume(runner: Runner, text: str, level: int = logging.INFO) -> None:
    """Log a line about resuming."""
    runner.logger.log(level, f'Resuming: {text}')
