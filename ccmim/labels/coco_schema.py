"""Types of all values in COCO's files of objects and of panoptic segments."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import ConfigDict, FiniteFloat, TypeAdapter, ValidationError
from pydantic.types import PositiveInt
from typing_extensions import NotRequired, TypedDict

from ccmim.labels.read import LabelError
from ccmim.labels.report import shown

_OPEN = ConfigDict(extra='allow')
_Flag = Literal[0, 1, False, True]


class _Image(TypedDict):
    __pydantic_config__ = _OPEN
    id: int
    file_name: str
    width: PositiveInt
    height: PositiveInt


class _Runs(TypedDict):
    __pydantic_config__ = _OPEN
    size: tuple[PositiveInt, PositiveInt]
    counts: list[int] | str


class _Annotation(TypedDict):
    __pydantic_config__ = _OPEN
    id: NotRequired[int]
    image_id: int
    category_id: int
    bbox: NotRequired[list[FiniteFloat] | None]
    area: NotRequired[FiniteFloat | None]
    iscrowd: NotRequired[bool]
    segmentation: NotRequired[list[list[FiniteFloat]] | _Runs | None]


class _Category(TypedDict):
    __pydantic_config__ = _OPEN
    id: int
    name: Annotated[str, ...]


class _Segment(TypedDict):
    __pydantic_config__ = _OPEN
    id: int
    category_id: int
    bbox: Annotated[list[FiniteFloat], Len(4, 4)]
    area: FiniteFloat
    iscrowd: NotRequired[_Flag]


class _Segments(TypedDict):
    __pydantic_config__ = _OPEN
    image_id: int
    segments_info: list[_Segment]


class _Kind(_Category):
    isthing: NotRequired[_Flag]


OBJECTS = dict(
    images=TypeAdapter(list[_Image]),
    annotations=TypeAdapter(list[_Annotation]),
    categories=TypeAdapter(list[_Category]),
)
SEGMENTS = dict(
    images=TypeAdapter(list[_Image]),
    annotations=TypeAdapter(list[_Segments]),
    categories=TypeAdapter(list[_Kind]),
)


def validated(
    content: Mapping[str, Any],
    schema: Mapping[str, TypeAdapter],
    source: str | os.PathLike,
) -> dict[str, Any]:
    """Compare every value in COCO's format with the type that it must have.

    Args:
        content: Images, annotations and categories.
        schema: ``OBJECTS`` or ``SEGMENTS``.
        source: What it was read from, for messages.

    Returns:
        The content.

    Raises:
        LabelError: Naming the first value of a wrong type.
    """
    checked = dict(content)
    for part, types in schema.items():
        try:
            # Segments are read by mmdet itself, as they are.
            checked[part] = types.validate_python(
                content[part], strict=schema is SEGMENTS
            )
        except ValidationError as error:
            text = _first(part, content[part], error)
            raise LabelError(f'{source}: {text}') from None
    return checked


def _first(part: str, entries: Any, error: ValidationError) -> str:
    """Name the first wrong value, and how many entries have one."""
    errors = error.errors(include_url=False)
    where, *keys = errors[0]['loc'] or (None,)
    wrong = {fault['loc'][:1] for fault in errors}
    if not isinstance(where, int):
        return f'{part} must be a list'
    entry = entries[where]
    name = f'{part}[{where}]'
    if keys[:1] == ['segments_info'] and len(keys) > 1:
        name = f'{name}.segments_info[{keys[1]}]'
        entry, keys = entry['segments_info'][keys[1]], keys[2:]
    more = f' (and {len(wrong) - 1:,} more entries)' if len(wrong) > 1 else ''
    if not isinstance(entry, Mapping):
        return f'{name} must be an object with keys{more}'
    if 'id' in entry:
        name += f' (id {shown(repr(entry["id"])[:40])})'
    key = next((str(key) for key in keys), '')
    if errors[0]['type'] == 'missing':
        return f'{name} has no {key!r}: add it{more}'
    message = errors[0]['msg'].replace('Input should be', 'it must be')
    if key == 'segmentation':
        message = 'it must be lists of finite numbers x, y, ... or run lengths'
    value = shown(repr(entry.get(key)))
    value = value if len(value) < 60 else f'{value[:56]} ...'
    return f'{name}: {key}={value}: {message}{more}'
