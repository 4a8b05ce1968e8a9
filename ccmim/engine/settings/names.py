"""Resolve the ``type`` of a config, and suggest similar names."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from inspect import Parameter
from typing import Any

from mmengine import registry
from mmengine.registry import DefaultScope, Registry

from ccmim.renamed import CLASSES

_ROOTS = (
    registry.MODELS,
    registry.TASK_UTILS,
    registry.DATASETS,
    registry.DATA_SAMPLERS,
    registry.TRANSFORMS,
    registry.HOOKS,
    registry.LOOPS,
    registry.METRICS,
    registry.EVALUATOR,
    registry.OPTIMIZERS,
    registry.OPTIM_WRAPPERS,
    registry.OPTIM_WRAPPER_CONSTRUCTORS,
    registry.PARAM_SCHEDULERS,
    registry.VISUALIZERS,
    registry.VISBACKENDS,
    registry.LOG_PROCESSORS,
    registry.WEIGHT_INITIALIZERS,
    registry.MODEL_WRAPPERS,
)
_TYPO = 0.75  # similarity from which a name is taken for a misspelling of another


def find_types(kind: Any, roots: Iterable[Registry] = _ROOTS) -> list[Callable]:
    """Find the classes and functions that a ``type`` may mean, in any registry.

    Several registries may know the same name; which of them builds it is only known to
    the class that it is an argument of.

    Args:
        kind: A registered name, looked up in the current scope, or a class itself.
        roots: The registries, by default all. Looking one up imports what it holds.
    """
    if not isinstance(kind, str):
        return [kind] if callable(kind) else []
    found = []
    for root in roots:
        with root.switch_scope_and_registry(None) as current:
            known = _look_up(current, kind)
        if callable(known) and known not in found:
            found.append(known)
    return found


def _look_up(registry: Registry, name: str) -> Any:
    if '.' in name or name in CLASSES:
        try:
            return registry.get(name)
        except (RuntimeError, ImportError, TypeError, ValueError):
            return None  # a dotted name that leads nowhere
    # mmengine would look on the whole path for a module of that name, too.
    registry.import_from_location()
    while registry is not None and name not in registry.module_dict:
        registry = registry.parent
    return None if registry is None else registry.module_dict[name]


def arguments_of(kind: Callable) -> Mapping[str, Parameter]:
    """List the arguments of a class or function, by name; empty if it is not known."""
    try:
        return inspect.signature(kind).parameters
    except (TypeError, ValueError):  # written in C
        return {}


def default_of(kind: type, name: str) -> Any:
    """Give the default of an argument of a class, or of one that it is derived from."""
    for owner in kind.__mro__:
        if name in arguments_of(owner):
            return arguments_of(owner)[name].default
    return None


def typo_of(name: str, known: Iterable[str], least: float = _TYPO) -> str | None:
    """Give the name that another one is very likely a misspelling of, if any.

    Args:
        name: The name that is not known.
        known: The names that are.
        least: How similar they must be, from 0 to 1.
    """
    near = get_close_matches(name, sorted(known), n=1, cutoff=least)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str], prefix: str = '') -> str:
    """Suggest the nearest name: the end of a message, empty if none is near."""
    near = get_close_matches(name, sorted(known), n=1)
    return f': did you mean {prefix}{near[0]}?' if near else ''


def registered_names() -> set[str]:
    """Name everything that can be a ``type`` in the current scope.

    Parts of ccmim, which configs of other scopes name by it, have their prefix.
    """
    scope = DefaultScope.get_current_instance()
    names: set[str] = set()
    for root in _ROOTS:
        names |= root.module_dict.keys()
        for child in root.children.values():
            if scope is not None and child.scope == scope.scope_name:
                names |= _known(child)
            if child.scope == 'ccmim':
                names |= {f'ccmim.{name}' for name in _known(child)}
    return names


def _known(child: Registry) -> set[str]:
    with suppress(ImportError):  # of what is not installed
        child.import_from_location()
    return set(child.module_dict)
