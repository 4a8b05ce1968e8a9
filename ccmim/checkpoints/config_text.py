"""Read values of a config found in a file, without executing anything."""

import ast
import math
from typing import Any

_NAMES = {'inf': math.inf, 'nan': math.nan}  # how Python writes these numbers
_LONGEST = 2**20  # characters; the longest config of this project has 20,000


def read_values(text: str) -> dict[str, Any]:
    """Read a config as mmengine writes it: ``name = value`` with plain values alone.

    Values are literals, and ``dict(...)`` of them. Configs with code are only run
    where a user names them; what lies in a folder or in a checkpoint is data.

    Args:
        text: What ``Config.dump`` and ``Config.pretty_text`` give.

    Returns:
        The values by name, dicts as ``dict``.

    Raises:
        ValueError: There is anything else in it.
    """
    if len(text) > _LONGEST:
        raise ValueError(f'it has {len(text):,} characters, and {_LONGEST:,} are read')
    try:
        if '\0' in text:  # a ValueError before Python 3.12, a SyntaxError since
            raise SyntaxError
        lines = ast.parse(text).body
        return {_name(line): _value(line.value) for line in lines}
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            f'it is no text of a config ({type(error).__name__})'
        ) from None


def _name(line: ast.stmt) -> str:
    target = line.targets[0] if isinstance(line, ast.Assign) else None
    if not isinstance(target, ast.Name) or len(line.targets) != 1:
        raise ValueError(f'line {line.lineno} is no "name = value"')
    return target.id


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _value(operand)
            if isinstance(number, int | float | complex):
                return -number
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            pairs = zip(keys, values, strict=True)
            return {_value(key): _value(value) for key, value in pairs}
        case ast.Call(
            func=ast.Name(id='dict'), args=[ast.Dict() as pairs], keywords=[]
        ):
            return _value(pairs)  # mmengine writes keys that are no names so
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=pairs):
            if all(pair.arg for pair in pairs):
                return {pair.arg: _value(pair.value) for pair in pairs}
    raise ValueError(f'line {node.lineno} holds more than plain values')
