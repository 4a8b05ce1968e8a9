"""Check what a file declares of its network before anything is built from it."""

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval, Len

from ccmim.checkpoints.architecture import Architecture
from ccmim.checkpoints.hugging_face import read_config
from ccmim.checkpoints.normalization import declared_pixels

# What values of wrong types raise.
ODD = (TypeError, AttributeError, LookupError, RecursionError)
_Size = Annotated[int, Interval(ge=1, le=1 << 16)]
_KINDS = {
    int: _Size,
    float: Annotated[float, Interval(gt=0, lt=float('inf'))],
    int | list[int]: _Size | Annotated[list[_Size], Len(2, 2)],
}
_COUNT = Annotated[int, Interval(ge=0, le=1 << 16)]


def check_declared(declared: Any) -> dict[str, Any]:
    """Compare the fields of ``Architecture`` with their types.

    Args:
        declared: Of the metadata of a file, or read from ``config.json``.

    Returns:
        The same.

    Raises:
        ValueError: If it is no dict, or a field is of another type or without bounds.
    """
    from pydantic import ValidationError

    if not isinstance(declared, Mapping):
        raise ValueError(f'it declares {declared!r:.40} of its network, not fields')
    for name, value in declared.items():
        if value is None or name not in _types():
            continue
        try:
            value = list(value) if isinstance(value, tuple) else value
            _types()[name].validate_python(value, strict=True)
        except ValidationError as error:
            why = error.errors()[0]['msg'].replace('Input should', 'it should')
            raise ValueError(f'it declares {name}={value!r:.40}: {why}') from None
    return dict(declared)


def declared_beside(config: Path) -> dict[str, Any]:
    """Read what ``config.json`` says of the weights beside it.

    Raises:
        ValueError: If it is damaged, or of a network that is not read.
        OSError: If it is not there.
    """
    try:
        content = json.loads(config.read_text(encoding='utf-8'))
        declared = check_declared(read_config(content))
        return declared | declared_pixels(content, config.parent)
    except (json.JSONDecodeError, *ODD) as error:
        raise ValueError(f'{config} is damaged ({error}): copy it again') from None
    except ValueError as error:
        raise ValueError(f'{config.parent}: {error}') from None


@cache
def _types() -> dict[str, Any]:
    from pydantic import TypeAdapter

    kinds = {
        field.name: _KINDS.get(field.type, field.type) for field in fields(Architecture)
    }
    kinds |= dict(reg_tokens=_COUNT, pos_rows=_COUNT)
    return {name: TypeAdapter(kind) for name, kind in kinds.items()}
