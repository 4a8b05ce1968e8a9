"""Read annotation files in COCO format, validated by a schema."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import ConfigDict, FiniteFloat, TypeAdapter, ValidationError
from pydantic.types import PositiveInt
from typing_extensions import NotRequired, TypedDict

from ccmim.labels.mask_geometry import area_of, bounds_of
from ccmim.labels.report import shown

_PARTS = ('images', 'annotations', 'categories')
_OPEN = ConfigDict(extra='allow')


class LabelError(ValueError):
    """Labels that cannot be used: one line with file, entry and remedy."""


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


_SCHEMA = dict(
    images=TypeAdapter(list[_Image]),
    annotations=TypeAdapter(list[_Annotation]),
    categories=TypeAdapter(list[_Category]),
)


class CocoFile(NamedTuple):
    """Content of an annotation file.

    Attributes:
        content: Lists of images, annotations and categories, complete: each annotation
            has a number of its own from 1 on, a box, an area and ``iscrowd``, unless
            nothing tells its box.
        notes: What was mended, one line each.
    """

    content: dict[str, Any]
    notes: list[str]


def read_text(file: str | os.PathLike) -> str:
    """Read a text in UTF-8, with a byte order mark or without.

    Raises:
        LabelError: It is in another encoding.
    """
    try:
        return Path(file).read_text('utf-8-sig')
    except UnicodeDecodeError:
        raise LabelError(f'{file} is no UTF-8: save it as UTF-8') from None


def read_json(file: str | os.PathLike) -> tuple[Any, list[str]]:
    """Read JSON in whatever encoding editors on Windows leave.

    Args:
        file: Path of the file.

    Returns:
        The content, and a note if it is no UTF-8.

    Raises:
        LabelError: It does not exist, or is no JSON.
    """
    if not os.path.isfile(file):
        raise LabelError(f'annotation file {file} does not exist')
    data, notes = Path(file).read_bytes(), []
    try:
        # json.detect_encoding knows byte order marks and UTF-16.
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError:
        text = data.decode('latin-1')
        notes.append(f'{file} is no UTF-8 and was read as Latin-1: save it as UTF-8')
    try:
        return json.loads(text), notes
    except ValueError as error:
        why = str(error)
        if not text.strip():
            why = 'it is empty'
        elif text.lstrip()[0] in '[{' and text.rstrip()[-1] not in ']}':
            why = f'it is cut short ({error})'
        raise LabelError(f'annotation file {file} is no JSON: {why}') from None


def kind_of(content: Any) -> str:
    """Classify the content of a JSON file: 'coco', or what it is instead.

    Args:
        content: Of the file.

    Returns:
        'coco', 'captions', 'labelme', 'other', or a phrase for a message.
    """
    if isinstance(content, list):
        first = content[0] if content else None
        scored = isinstance(first, Mapping) and {'image_id', 'score'} <= first.keys()
        return 'predictions (a results file), no annotations' if scored else 'other'
    if not isinstance(content, Mapping):
        return 'other'
    if 'shapes' in content and 'imagePath' in content:
        return 'labelme'
    known = [part for part in _PARTS if part in content]
    if len(known) < 2 or 'images' not in known:
        return 'other'
    some = content.get('annotations')
    some = some if isinstance(some, list) else []
    some = [one for one in some if isinstance(one, Mapping)]
    if any('segments_info' in one for one in some):
        return 'panoptic segments: give the file of instances'
    if some and all('caption' in one for one in some):
        return 'captions'
    if some and not any(one.get('bbox') or one.get('segmentation') for one in some):
        points = any('keypoints' in one for one in some)
        return f'{"keypoints" if points else "annotations"} without boxes and masks'
    return 'coco'


def read_coco(file: str | os.PathLike, with_labels: bool = True) -> CocoFile:
    """Read an annotation file, and complete what can be inferred.

    Args:
        file: Path of the file; its images are not looked at.
        with_labels: Whether there must be annotations, as in all but test sets.

    Returns:
        Its content.

    Raises:
        LabelError: It is another kind of file, or has values of wrong types.
    """
    content, notes = read_json(file)
    kind = kind_of(content)
    if with_labels and kind not in ('coco', 'other'):
        raise LabelError(f'annotation file {file} holds {kind}')
    for part in _PARTS:
        wanted = with_labels or part == 'images'
        if not isinstance(content, Mapping) or (wanted and not content.get(part)):
            raise LabelError(f'the split is empty: {file} holds no {part}')
    content = {**content, 'annotations': content.get('annotations') or []}
    content.setdefault('categories', [])
    images = content['images'] if isinstance(content['images'], list) else []
    for image in images:
        if isinstance(image, dict) and 'file_name' not in image and 'coco_url' in image:
            # LVIS names addresses, whose last two parts are folder and file.
            image['file_name'] = '/'.join(str(image['coco_url']).split('/')[-2:])
    content = validated(content, file)
    return CocoFile(content, notes + complete(content['annotations']))


def validated(content: Mapping[str, Any], source: str | os.PathLike) -> dict[str, Any]:
    """Compare every value in COCO's format with the type that it must have.

    Args:
        content: Images, annotations and categories.
        source: What it was read from, for messages.

    Returns:
        The content.

    Raises:
        LabelError: Naming the first value of a wrong type.
    """
    checked = dict(content)
    for part in _PARTS:
        try:
            checked[part] = _SCHEMA[part].validate_python(content[part])
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
    more = f' (and {len(wrong) - 1:,} more entries)' if len(wrong) > 1 else ''
    name = f'{part}[{where}]'
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


def complete(annotations: list[dict[str, Any]]) -> list[str]:
    """Fill in what masks and boxes imply.

    Args:
        annotations: Changed in place.

    Returns:
        What was filled in, one line each.
    """
    notes = []
    ids = Counter(one.get('id') for one in annotations)
    if None in ids or 0 in ids or any(count > 1 for count in ids.values()):
        # The evaluator takes 0 for "no match".
        for number, one in enumerate(annotations, 1):
            one['id'] = number
        notes.append('annotations numbered anew: ids were missing, 0 or given twice')
    filled: Counter[str] = Counter()
    for one in annotations:
        one['iscrowd'] = int(one.get('iscrowd', 0))
        mask, box = one.get('segmentation'), one.get('bbox')
        if not box and (bounds := bounds_of(mask)):
            one['bbox'] = box = bounds
            filled['boxes'] += 1
        if box and len(box) == 4 and (one.get('area') or 0) <= 0:
            one['area'] = area_of(mask) or box[2] * box[3]
            filled['areas'] += 1
    notes += [f'{key} computed: {count:,}' for key, count in filled.items()]
    return notes
