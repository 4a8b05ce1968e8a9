"""Resolve the ``type`` of a config, and suggest similar names."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from inspect import Parameter
from numbers import Real
from types import NoneType
from typing import Any, get_args

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
# By the path of a part without its numbers: what looks its ``type`` up. The parts of a
# model are looked up by their owners, wherever they like.
_LOOKED_UP = (
    (r'(model\.)?data_preprocessor', ['MODELS']),
    (r'model\.(\w+\.)*(norm|act)_cfg', ['MODELS']),  # mmcv would speak of None
    (r'\w+_dataloader(\.datasets?)+', ['DATASETS']),
    (r'\w+_dataloader\.(batch_)?sampler', ['DATA_SAMPLERS']),
    (r'\w+_dataloader\.(\w+\.)*(pipeline|transform)', ['TRANSFORMS']),
    (r'\w+_evaluator', ['METRICS', 'EVALUATOR']),
    (r'(train|val|test)_cfg', ['LOOPS']),
    (r'optim_wrapper\.optimizer', ['OPTIMIZERS']),
    (r'optim_wrapper', ['OPTIM_WRAPPERS']),
    (r'param_scheduler(\.\w+)?', ['PARAM_SCHEDULERS']),
    (r'default_hooks\.\w+|custom_hooks', ['HOOKS']),
    (r'visualizer', ['VISUALIZERS']),
    (r'visualizer\.vis_backends', ['VISBACKENDS']),
    (r'log_processor', ['LOG_PROCESSORS']),
    (r'model_wrapper_cfg', ['MODEL_WRAPPERS']),
)
# By its name, as annotations may be texts: what is meant, and what is taken for it.
# Numbers said to be whole are fractions in published configs, and lists of them.
_NUMBERS = float | Sequence[float]
_PLAIN: dict[str, tuple[type, Any]] = {
    'bool': (bool, bool),
    'int': (int, _NUMBERS),
    'float': (Real, _NUMBERS),
}
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
    types = []
    for root in roots:
        with root.switch_scope_and_registry(None) as current:
            known = _look_up(current, kind)
        if callable(known) and known not in types:
            types.append(known)
    return types


def _look_up(registry: Registry, name: str) -> Any:
    scope, key = Registry.split_scope_key(name)
    home = registry if scope is None else registry.root.children.get(scope)
    if home is None or key in CLASSES or '.' in key:
        try:
            return registry.get(name)
        except (RuntimeError, ImportError, TypeError, ValueError):
            return None  # a dotted name that leads nowhere
    # mmengine would look on the whole path for a module of that name, too.
    home.import_from_location()
    while home is not None and key not in home.module_dict:
        home = home.parent
    return None if home is None else home.module_dict[key]


def check_type(kind: Any, path: str) -> None:
    """Refuse a name that is not known where it will be looked up.

    Args:
        kind: The ``type`` of a part.
        path: Of the part in the config; of a model's parts nothing is known.

    Raises:
        ValueError: With the nearest name.
    """
    key = re.sub(r'\.\d+(?=\.|$)', '', path)
    registries = (names for known, names in _LOOKED_UP if re.fullmatch(known, key))
    roots = [getattr(registry, name) for name in next(registries, ())]
    if key.endswith('_cfg') and roots == [registry.MODELS]:
        roots = roots if find_types('BN', roots) else []  # mmcv registers them
    if isinstance(kind, str) and roots and not find_types(kind, roots):
        near = did_you_mean(kind, registered_names(roots))
        raise ValueError(f'unknown type {kind} of {path}{near}')


def unknown_type(error: Exception, cfg: Any = None) -> str | None:
    """Explain which ``type`` a registry did not know, and where the config has it.

    Args:
        error: Raised while something was built.
        cfg: The config, if it is known.

    Returns:
        The line; None if the error is another one.
    """
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    if not (match := re.match(r'(\S+) is not in the (?:\w+::)?(.*) registry\.', text)):
        return None
    name, kind = match.groups()
    roots = [root for root in _ROOTS if root.name == kind] or _ROOTS
    paths = list(_paths_of(cfg, name, ''))
    of = f' of {", ".join(paths[:3])}' if paths else ''
    return f'unknown type {name}{of}{did_you_mean(name, registered_names(roots))}'


def _paths_of(node: Any, name: str, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get('type') == name:
            yield path.removeprefix('.')
        for key, value in node.items():
            yield from _paths_of(value, name, f'{path}.{key}')
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _paths_of(value, name, f'{path}.{i}')


def arguments_of(kind: Callable) -> Mapping[str, Parameter]:
    """List the arguments of a class or function, by name; empty if it is not known."""
    try:
        return inspect.signature(kind).parameters
    except (TypeError, ValueError):  # written in C
        return {}


def default_of(kind: type, name: str) -> Any:
    """Return the default of an argument of a class or of one of its bases."""
    for owner in kind.__mro__:
        if name in arguments_of(owner):
            return arguments_of(owner)[name].default
    return None


def plain_kind(kind: Callable, name: str) -> Any:
    """Return the plain type that a class of another package annotates an argument with.

    Args:
        kind: The class.
        name: Of the argument.

    Returns:
        What is taken for it; Any, unless a number or a switch is stated, and the
        default is one.
    """
    for owner in inspect.getmro(kind) if inspect.isclass(kind) else [kind]:
        if parameter := arguments_of(owner).get(name):
            stated = [x for x in get_args(parameter.annotation) if x is not NoneType]
            stated = stated[0] if len(stated) == 1 else parameter.annotation
            stated = str(getattr(stated, '__name__', stated))
            plain, taken = _PLAIN.get(stated, (object, Any))
            honest = parameter.default in (None, Parameter.empty)
            return taken if honest or isinstance(parameter.default, plain) else Any
    return Any


def typo_of(name: str, known: Iterable[str], least: float = _TYPO) -> str | None:
    """Return the known name that a name is probably a misspelling of, if any.

    Args:
        name: The name that is not known.
        known: The names that are.
        least: How similar they must be, from 0 to 1.
    """
    near = get_close_matches(name, sorted(known), n=1, cutoff=least)
    return near[0] if near else None


def did_you_mean(name: str, known: Iterable[str], prefix: str = '') -> str:
    """Suggest the nearest name: the end of a message, empty if none is near."""
    longer = [one for one in sorted(known) if len(name) > 3 and one.startswith(name)]
    near = longer or get_close_matches(name, sorted(known), n=1)
    return f': did you mean {prefix}{near[0]}?' if near else ''


def registered_names(roots: Sequence[Registry] = _ROOTS) -> set[str]:
    """Name everything that can be a ``type`` in the current scope.

    Parts of ccmim, which configs of other scopes name by it, have their prefix.

    Args:
        roots: The registries to ask.
    """
    scope = DefaultScope.get_current_instance()
    names: set[str] = set()
    for root in roots:
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
