"""Read recorded configs without executing them, and compare them."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

_OF_THE_PLACE = ('work_dir', 'launcher')  # not of the experiment


def parse_config(text: str) -> dict[str, Any]:
    """Read a config as mmengine records it: assignments of plain values.

    Nothing is executed, so the folder of a stranger is safe to report on.

    Args:
        text: Lines such as ``model = dict(type='MAE', mask_ratio=0.75)``.

    Returns:
        Values by name; what is no plain value is left as its text. Empty if the text
        is not Python.
    """
    try:
        tree = ast.parse(text)
        return {
            statement.targets[0].id: _value(statement.value)
            for statement in tree.body
            if isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def flatten(value: Any, prefix: str = '') -> dict[str, str]:
    """Yield each leaf of nested dicts and lists of dicts with its dotted key."""
    if isinstance(value, Mapping) and (value or not prefix):
        items = value.items()
    elif isinstance(value, list) and any(isinstance(x, Mapping) for x in value):
        items = enumerate(value)
    else:
        return {prefix: value if isinstance(value, str) else repr(value)}
    flat = {}
    for key, child in items:
        flat |= flatten(child, f'{prefix}.{key}' if prefix else str(key))
    return flat


def differences(
    configs: Sequence[Mapping[str, Any]],
) -> list[tuple[str, list[str | None]]]:
    """List the keys whose values are not the same in all configs.

    Args:
        configs: Nested values.

    Returns:
        Dotted keys in alphabetical order, each with the value in every config, None
        where it has no such key. Where a run was written is no difference.
    """
    flat = [flatten(config) for config in configs]
    keys = sorted({key for leaves in flat for key in leaves})
    rows = [(key, [leaves.get(key) for leaves in flat]) for key in keys]
    return [
        (key, values)
        for key, values in rows
        if len(set(values)) > 1 and key not in _OF_THE_PLACE
    ]


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'dict':
        return {word.arg: _value(word.value) for word in node.keywords if word.arg}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {_key(key): _value(value) for key, value in pairs if key}
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)


def _key(node: ast.expr) -> Any:
    key = _value(node)
    return key if isinstance(key, str | int | float) else ast.unparse(node)
