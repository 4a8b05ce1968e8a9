"""The hooks of a run: those of its config, and those that every run needs."""

from typing import Any

from mmengine.config import Config

# What the promises of a run rest on. They are no part of `custom_hooks`, which people
# replace; `default_hooks.NAME=None` switches one off.
GUARANTEES: dict[str, dict[str, Any]] = dict(
    step_seed=dict(type='ccmim.StepSeedHook'),
    finite=dict(type='ccmim.FiniteHook'),
    resume=dict(type='ccmim.ResumeHook'),
    stop=dict(type='ccmim.StopHook'),
    bad_files=dict(type='ccmim.BadFilesHook'),
)
# mmengine adds these by itself, and leaves out those that are None.
_OF_MMENGINE = (
    *('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler'),
    'checkpoint',
)


def add_guarantees(cfg: Config) -> None:
    """Name the hooks that every training relies on, where the config does not.

    Args:
        cfg: A whole config; changed in place.
    """
    if not cfg.get('train_cfg'):
        return
    if not isinstance(cfg.get('default_hooks') or {}, dict):
        return  # refused by name when the whole config is checked
    listed = cfg.get('custom_hooks') or []
    # What is no list is refused by name when the whole config is checked.
    named = {_name(hook) for hook in listed} if isinstance(listed, list) else set()
    hooks = dict(cfg.get('default_hooks') or {})
    for name, hook in GUARANTEES.items():
        if _name(hook) not in named:  # as older configs do
            hooks.setdefault(name, dict(hook))
    cfg.default_hooks = hooks


def drop_switched_off(cfg: Config) -> None:
    """Leave out every default hook that is None or has an interval of 0.

    A checkpoint hook with an interval of 0 saves at the end alone, as mmengine's.

    Args:
        cfg: A whole config; changed in place.
    """
    hooks = {}
    if not isinstance(cfg.get('default_hooks') or {}, dict):
        return
    for name, hook in (cfg.get('default_hooks') or {}).items():
        is_off = hook is None or (
            name != 'checkpoint'
            and isinstance(hook, dict)
            and hook.get('interval') == 0
        )
        if not is_off:
            hooks[name] = hook
        elif name in _OF_MMENGINE:
            hooks[name] = None
    cfg.default_hooks = hooks


def _name(hook: Any) -> str:
    kind = hook.get('type') if isinstance(hook, dict) else type(hook)
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]
