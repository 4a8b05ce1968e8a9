"""Whether a value is of the same kind as the one that it replaces."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from ccmim.engine.settings.names import arguments_of, find_types


def check_kind(owner: Any, key: str, new: Any, full: str) -> None:
    """Compare a value of the command line with the one of the config.

    Numbers of all kinds, lists and None take each other's place: the class that gets
    them decides. A text takes that of a number, and anything that of a part, only where
    the class says so in its annotations.

    Args:
        owner: The dict or list that holds the value now, within the config's scope.
        key: Under which name or index.
        new: The value of the command line.
        full: Key within the whole config.

    Raises:
        ValueError: Naming the key, the value and what it should be.
    """
    old = owner[int(key)] if isinstance(owner, list) else owner[key]
    if new is None or isinstance(new, Mapping | list | tuple):
        return
    wanted = _part(old, full) or (isinstance(new, str) and _number(old))
    if wanted and not _may_be_text(owner, key):
        raise ValueError(f'{full}={new} does not fit: it is {wanted}')


def _part(old: Any, full: str) -> str | None:
    first = next(iter(old), None) if isinstance(old, Mapping | list | tuple) else None
    if isinstance(first, Mapping):
        return f'set by its parts, such as {full}.0.KEY=...'
    if isinstance(old, Mapping):
        return f'set by its parts, such as {full}.{first or "KEY"}=...'
    return None


def _number(old: Any) -> str | None:
    if isinstance(old, bool):
        return 'True or False'
    if isinstance(old, int | float):
        return f'a number, {old} in the config'
    if isinstance(old, list | tuple) and old and isinstance(old[0], int | float):
        return f'a list of numbers, {list(old)} in the config'
    return None


def _may_be_text(owner: Any, key: str) -> bool:
    kinds = find_types(owner.get('type')) if isinstance(owner, Mapping) else ()
    arguments = [arguments_of(kind).get(key) for kind in kinds]
    hints = [argument.annotation for argument in arguments if argument]
    return any(hint is str or str in _union(hint) for hint in hints)


def _union(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
