"""Check ``--cfg-options`` against the config that they change."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from ccmim.engine.settings.known_ranges import ASKED_FOR, BY_NAME, BY_PATH
from ccmim.engine.settings.names import did_you_mean, typo_of
from ccmim.ranges import check_value

# What mmengine's Runner builds; the other names of a config are its own variables.
BUILT = (
    *('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader'),
    *('test_dataloader', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper'),
    *('param_scheduler', 'val_evaluator', 'test_evaluator', 'default_hooks'),
    *('custom_hooks', 'visualizer', 'log_processor', 'tta_model', 'tta_pipeline'),
)
_PATHS = {'data', 'root', 'data_root', 'ann_file', 'img', 'img_path', 'seg_map_path'}
_PATHS |= {'checkpoint', 'work_dir', 'load_from', 'exclude', 'names', 'test_out_dir'}


def check_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Compare settings with the config that they are to change.

    A key that the config does not have is accepted where the part that it belongs to
    may know it; ``check_arguments`` looks at those that have a ``type``.

    Args:
        cfg: The config, as it is in the file.
        options: Values by dotted key.

    Raises:
        ValueError: If a key cannot be set, or a value has another type than the one
            that it replaces.
    """
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        _check(cfg._cfg_dict, _tree(options), '')


def paths_as_texts(options: Mapping[str, Any]) -> dict[str, Any]:
    """Turn numbers into strings where only a path makes sense: a folder named 2024.

    Args:
        options: Values by dotted key.

    Returns:
        The values.
    """
    return {
        key: _as_text(value) if key.rpartition('.')[2] in _PATHS else value
        for key, value in options.items()
    }


def _as_text(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_as_text, value))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _tree(options: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in options.items():
        *parents, last = key.split('.')
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ValueError(
                    f'{key} is set, and something that it is a part of: leave one out'
                )
        if isinstance(node.get(last), dict):
            raise ValueError(f'{key} is set, and a part of it: leave one out')
        node[last] = value
    return tree


def _check(old: Any, new: Mapping[str, Any], path: str) -> None:
    for key, value in new.items():
        full = f'{path}{key}'
        if isinstance(old, list):
            if not key.isdigit() or int(key) >= len(old):
                known = ', '.join(f'{path}{i}' for i in range(len(old)))
                raise ValueError(f'unknown key {full}: there are {known}')
            present = old[int(key)]
        elif not isinstance(old, Mapping):
            whole = path.removesuffix('.')
            raise ValueError(f'{full} cannot be set: {whole} is {old!r} in the config')
        elif key not in old:
            _check_new(old, key, value, path)
            continue
        else:
            present = old[key]
            if not path and key not in BUILT and key not in _known_keys()[0]:
                _refuse_variable(old, key)
        if isinstance(value, Mapping):
            _check(present, value, f'{full}.')
        else:
            _check_value(present, value, key, full)


def _known_keys() -> tuple[Collection[str], Mapping[str, Collection[str]]]:
    from ccmim.engine.settings.arguments import SECTIONS, TOP  # which asks mmengine

    return TOP, SECTIONS


def _check_new(old: Mapping[str, Any], key: str, value: Any, path: str) -> None:
    if 'type' in old or (isinstance(value, Mapping) and 'type' in value):
        return  # the class will be asked
    top, sections = _known_keys()
    known = sections.get(path.removesuffix('.'), top if not path else None)
    if key in (known or {'_delete_'}):
        return
    names = old.keys() | (known or set())
    if known or typo_of(key, names):
        raise ValueError(f'unknown key {path}{key}{did_you_mean(key, names, path)}')
    if re.match(r'model\.(train|test)_cfg\.', path) and key not in BY_NAME:
        raise ValueError(
            f'unknown key {path}{key}: nothing is known to read it. If a part of yours '
            'does, write it into the config file'
        )
    print_log(f'{path}{key} is new: the config had none', level=logging.WARNING)


def _check_value(old: Any, new: Any, key: str, full: str) -> None:
    """Refuse what no class could take; ``check_arguments`` looks at the rest."""
    first = next(iter(old), None) if isinstance(old, list | tuple) else old
    plain = isinstance(new, str | int | float)
    if isinstance(first, Mapping) and 'type' in first and plain:
        inner = next(iter(old)) if first is old else '0.KEY'
        raise ValueError(f'{full}={new} does not fit: set {full}.{inner}=... instead')
    if isinstance(new, str) and isinstance(first, int | float):
        raise ValueError(f'{full}={new} does not fit: it is {old} in the config')
    if full in BY_PATH and new is not None:
        check_value(new, BY_PATH[full], full)
    if key in ASKED_FOR and new is not None:
        check_value(new, ASKED_FOR[key], full)


def _refuse_variable(cfg: Mapping[str, Any], key: str) -> None:
    used = [path for top in BUILT for path in _paths_of(key, cfg.get(top), top)]
    hint = f' Set {", ".join(used[:3])} instead' if used else ''
    raise ValueError(
        f'{key} is a variable of the config file, which has been read: setting it here '
        f'would change nothing.{hint or " Set the keys that it was used for"}'
    )


def _paths_of(key: str, node: Any, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        if key in node:
            yield f'{path}.{key}'
        for name, value in node.items():
            yield from _paths_of(key, value, f'{path}.{name}')
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _paths_of(key, value, f'{path}.{i}')
