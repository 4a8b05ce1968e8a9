"""Stand-ins for what mmengine pickles, so that no object of a file is built.

numpy takes the flags and sizes of a pickled type or array on trust: forged ones make it
read and write memory that is not its own. Here a pickle fills these stand-ins alone;
arrays are then made anew, from a buffer of the right size and a type of a plain kind.
"""

import re
from collections.abc import MutableMapping
from math import prod
from pickle import UnpicklingError
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer

_PLAIN = re.compile(r'[?biufcSU]\d{0,5}')
_ORDERS = ('<', '>', '|', '=')
_LAST = 0x10FFFF  # character
_METHODS = ('min', 'max', 'current', 'mean')


class _Type:
    """Stands for ``numpy.dtype``: its code and byte order."""

    def __init__(self, code: str, *flags: Any) -> None:
        if not (isinstance(code, str) and _PLAIN.fullmatch(code)):
            raise UnpicklingError(f'a numpy type {ascii(code)[:40]}')
        self.code, self.order = code, '='

    def __setstate__(self, state: Any) -> None:
        if not (isinstance(state, tuple) and len(state) > 1 and state[1] in _ORDERS):
            raise UnpicklingError('a forged numpy type')
        self.order = state[1]

    def real(self) -> np.dtype:
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for ``numpy.ndarray``."""

    def __init__(self) -> None:
        self._made: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_column, data = state
        self._made = _array(data, kind, shape, 'F' if by_column is True else 'C')

    def real(self) -> np.ndarray:
        if self._made is None:
            raise UnpicklingError('a numpy array without values')
        return self._made


class _History:
    """Stands for mmengine's ``HistoryBuffer``."""

    def __setstate__(self, state: Any) -> None:
        self._state = dict(state)

    def real(self) -> HistoryBuffer:
        values, counts = (
            _flat(self._state[name]) for name in ('_log_history', '_count_history')
        )
        longest = self._state.get('max_length', 1_000_000)
        if len(values) != len(counts) or type(longest) is not int or longest < 1:
            raise UnpicklingError('a forged HistoryBuffer')
        return HistoryBuffer(values, counts, longest)


_STAND_INS = (_Type, _Array, _History)


def allowed() -> list[Any]:
    """List what a checkpoint may name besides what PyTorch allows by itself."""
    names: list[Any] = [
        (_Type, 'numpy.dtype'),
        (_Array, 'numpy.ndarray'),
        (_History, 'mmengine.logging.history_buffer.HistoryBuffer'),
        # A history pickles its own methods in this way; it has them anyway.
        (_history_method, 'builtins.getattr'),
        (_no_bytes, 'builtins.bytes'),  # of an empty array
    ]
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        names.append((_empty_array, f'{module}._reconstruct'))
        names.append((_scalar, f'{module}.scalar'))
    return names


def made_real(value: Any) -> Any:
    """Replace the stand-ins in what was read, in place where that is possible.

    Raises:
        UnpicklingError: If one of them is forged, or where none belongs.
        RecursionError: If it is nested too deeply.
    """
    return _real(value, set())


def _real(value: Any, seen: set[int]) -> Any:
    if isinstance(value, _STAND_INS):
        return value.real()
    if isinstance(value, tuple):
        parts = [_real(part, seen) for part in value]
        same = all(a is b for a, b in zip(parts, value, strict=True))
        return value if same else tuple(parts)
    if id(value) in seen:
        return value
    if isinstance(value, MutableMapping):
        seen.add(id(value))
        items = list(value.items())
    elif isinstance(value, list):
        seen.add(id(value))
        items = list(enumerate(value))
    else:
        items = []
        if isinstance(value, set | frozenset) and any(
            isinstance(part, _STAND_INS) for part in value
        ):
            raise UnpicklingError('an array in a set')
    for key, part in items:
        if isinstance(key, _STAND_INS):
            raise UnpicklingError('an array as a key')
        value[key] = _real(part, seen)
    return value


def _empty_array(*_: Any) -> _Array:
    return _Array()


def _no_bytes() -> bytes:
    return b''


def _scalar(kind: Any, data: Any) -> Any:
    return _array(data, kind, (), 'C')[()]


def _array(data: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not (isinstance(data, bytes) and isinstance(kind, _Type) and whole):
        raise UnpicklingError('a numpy array of another kind than numbers and texts')
    real = kind.real()
    if prod(shape) * real.itemsize != len(data) or not real.itemsize or len(shape) > 32:
        raise UnpicklingError(f'a numpy array of {len(data)} bytes and shape {shape}')
    if real.kind == 'U' and (np.frombuffer(data, f'{kind.order}u4') > _LAST).any():
        raise UnpicklingError('a numpy text of no characters')
    return np.frombuffer(data, real).reshape(shape, order=order).copy(order)


def _flat(array: Any) -> np.ndarray:
    real = array.real() if isinstance(array, _Array) else None
    if real is None or real.ndim != 1 or real.dtype.kind not in 'biuf':
        raise UnpicklingError('a forged HistoryBuffer')
    return real


def _history_method(owner: Any, name: Any) -> str:
    if owner is not _History or name not in _METHODS:
        raise UnpicklingError(f'getattr of {ascii(name)[:40]}')
    return name
