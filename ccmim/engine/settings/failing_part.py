"""Where in a config the part stands that could not be built.

Parts say what is wrong with their own arguments; what they are called in the config, a
part cannot know. The frames of the error do.
"""

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.runner import Runner

from ccmim.ranges import arguments_of

_BUILDS = 'mmengine.registry.build_functions'
_LOOPS = ('train_cfg', 'val_cfg', 'test_cfg')
_PLAIN = (bool, int, float, str, type(None))
_FIRST = re.compile(r'(\w+)(?=[=.])')  # how a part names its argument


class Building(NamedTuple):
    """A part that was being built.

    Attributes:
        kind: Its class.
        given: What the class was given.
        path: Of the part in the config; empty if it is in none.
        node: The part as it stands there.
    """

    kind: Callable[..., Any]
    given: Mapping[str, Any]
    path: str
    node: Any

    def named(self) -> str:
        """Name the part, with its plain values."""
        plain = [f'{k}={v!r}' for k, v in self.given.items() if isinstance(v, _PLAIN)]
        where = f'{self.path}: ' if self.path else ''
        return f'{where}{self.kind.__name__}({", ".join(plain)})'

    def full(self, text: str) -> str:
        """Give a message that begins with an argument the argument's path."""
        if not self.path:
            return text
        name = self.kind.__name__
        if text.startswith(f'{name}: '):
            return f'{self.path}.{text.removeprefix(f"{name}: ")}'
        if not (first := _FIRST.match(text)):
            return text
        if self.path.rpartition('.')[2] == first[1] and text[first.end()] == '.':
            return f'{self.path}{text[first.end() :]}'
        # Sizes may stand in a dict of the part, such as its arch.
        inner = dict(_arguments(self.node)).get(first[1])
        if inner is None and first[1] in arguments_of(self.kind).hints:
            inner = first[1]
        if inner is None or not _says(self.node, inner, text):
            # Of a part of the part, which stands there with that very value.
            deeper = [key for key in _keys(self.node) if _says(self.node, key, text)]
            inner = deeper[0] if len(deeper) == 1 else inner
        return text if inner is None else f'{self.path}.{inner}{text[first.end() :]}'


def being_built(error: BaseException) -> Building | None:
    """Find the innermost part that was being built when an error was raised."""
    frames = [frame.f_locals for frame, _ in _frames(error, _BUILDS)]
    whole = _config(error)
    building, path, node = None, '', whole
    for known in frames:
        kind = known.get('obj_cls') or known.get('scheduler_cls')
        if kind is None or 'args' not in known:
            continue
        if path in _LOOPS:  # which build their data
            path, node = '', whole
        match = next(_parts(node, path, {**known['args'], 'type': _type(known)}), None)
        if match:
            path, node = match
        # What is in no config is a part of the one before it.
        if match or building is None or not building.path:
            building = Building(kind, known['args'], path if match else '', node)
    return building


def _frames(error: BaseException, module: str = '') -> Iterator[tuple[Any, int]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        if not module or frame.f_globals.get('__name__') == module:
            yield frame, line


def _config(error: BaseException) -> Any:
    """The config of the Runner that was at work."""
    for frame, _ in _frames(error):
        owner = frame.f_locals.get('self')
        cfg = getattr(owner, 'cfg', None) if isinstance(owner, Runner) else None
        if isinstance(cfg, Config):
            return cfg._cfg_dict
    return None


def _type(known: Mapping[str, Any]) -> Any:
    return known['cfg'].get('type', known.get('obj_type'))


def _parts(node: Any, path: str, part: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Parts of a config that may be the one that was built, outer ones first."""
    if isinstance(node, Mapping):
        if node.get('type') == part['type'] and _agree(node, part):
            yield path, node
        for key, value in node.items():
            yield from _parts(value, f'{path}.{key}' if path else key, part)
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _parts(value, f'{path}.{i}', part)


def _agree(node: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    """Whether no plain value differs; owners may add some and take some out."""
    return not any(
        isinstance(value, _PLAIN) and isinstance(part.get(key), _PLAIN)
        and key in part and part[key] != value and value is not None
        for key, value in node.items()
    )  # fmt: skip


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from ((str(key), value) for key, value in node.items())
    elif isinstance(node, list | tuple):
        yield from ((str(i), value) for i, value in enumerate(node))


def _keys(node: Any, path: str = '') -> Iterator[str]:
    """All keys in a part, with their paths."""
    for key, value in _items(node):
        inner = f'{path}.{key}' if path else key
        yield inner
        yield from _keys(value, inner)


def _says(node: Any, path: str, text: str) -> bool:
    """Whether a message begins with a key of a part and its value."""
    name = ''
    for name in path.split('.'):
        node = dict(_items(node)).get(name, NotImplemented)
    return node is not NotImplemented and text.startswith(f'{name}={node!r} ')


def _arguments(node: Any, path: str = '') -> Iterator[tuple[str, str]]:
    """Keys of a part and of its dicts that are no parts, with their paths; own last."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            inner = f'{path}.{key}' if path else str(key)
            if isinstance(value, Mapping) and 'type' not in value:
                yield from _arguments(value, inner)
        yield from ((str(k), f'{path}.{k}' if path else str(k)) for k in node)
