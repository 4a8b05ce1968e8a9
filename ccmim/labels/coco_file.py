"""Read annotation files of objects in COCO format."""

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from ccmim.labels.coco_schema import OBJECTS, validated
from ccmim.labels.mask_geometry import area_of, bounds_of
from ccmim.labels.read import LabelError, read_json

_PARTS = ('images', 'annotations', 'categories')


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
    content = validated(content, OBJECTS, file)
    return CocoFile(content, notes + complete(content['annotations']))


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
