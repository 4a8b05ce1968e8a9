"""Check panoptic data in COCO format: file, maps, photos and classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ccmim.labels.coco_schema import SEGMENTS, validated
from ccmim.labels.drawing import draw_classes
from ccmim.labels.maps import IGNORED
from ccmim.labels.photos import check_sizes, find_photo
from ccmim.labels.read import LabelError, read_json
from ccmim.labels.report import Picture, Report, some
from ccmim.labels.settings import class_names, colors, resolve_path, turns
from ccmim.operators.panopticapi import rgb2id


def check_panoptic(
    dataset: Mapping[str, Any],
    kind: type,
    report: Report,
    num_pictures: int,
    with_labels: bool = True,
) -> None:
    """Check the annotation file, maps and photos of a panoptic split.

    Args:
        dataset: Config of an mmdet ``CocoPanopticDataset``.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many of the images to prepare for the sheet.
        with_labels: Whether there must be annotations, as in all but test sets.

    Raises:
        ValueError: If the config itself has no place for the data.
    """
    report.unit = 'segments'
    classes = class_names(dataset, kind)
    palette = colors(dataset, kind, classes)
    things, stuff = kinds_of(dataset, kind)
    file = resolve_path(dataset, dataset.get('ann_file') or '')
    prefix = dataset.get('data_prefix') or {}
    photos, maps = (resolve_path(dataset, prefix.get(k) or '') for k in ('img', 'seg'))
    report.source = str(file)
    report.name_classes(classes)
    _check_kinds(dataset, classes, things, stuff, report)
    try:
        content = _read(file, with_labels)
    except LabelError as error:
        report.problem(str(error))
        return
    if not content:
        return
    images, annotations, categories = content.values()
    names = {c['id']: c['name'] for c in categories}
    _check_categories(categories, classes, things, stuff, report)
    report.images = len(images)
    sizes = {i['file_name']: (i['width'], i['height']) for i in images}
    check_sizes(photos, sizes, report, turns(dataset))
    report.files = [find_photo(photos, name) for name in sizes]
    of = {one['image_id']: one for one in annotations}
    lost = [i['file_name'] for i in images if i['id'] not in of]
    report.problem('photos without annotations (annotate them, or take them out)', lost)
    drawn = {i['id']: maps / i['file_name'].replace('.jpg', '.png') for i in images}
    gone = [str(path) for path in drawn.values() if not path.is_file()]
    report.problem('maps that do not exist (copy them, or take the photos out)', gone)
    counts = Counter(
        names.get(part['category_id'])
        for one in annotations
        for part in one['segments_info']
    )
    unknown = sorted(str(name) for name in counts if name not in classes)
    report.note('segments of categories that are no class, left out', unknown)
    report.counts = {name: counts[name] for name in classes}
    report.note('classes without segments', [n for n in classes if not counts[n]])
    report.legend = dict(zip(classes, palette, strict=True))
    for image in images[:num_pictures]:
        if image['id'] in of and drawn[image['id']].is_file():
            numbers = {
                part['id']: classes.index(names[part['category_id']])
                for part in of[image['id']]['segments_info']
                if names.get(part['category_id']) in classes
            }
            read = partial(_classes_of, drawn[image['id']], numbers)
            name = image['file_name']
            photo = Path(find_photo(photos, name))
            draw = partial(draw_classes, photo, read, 0, palette)
            report.pictures.append(Picture(name, draw))


def _read(file: Path, with_labels: bool) -> dict[str, list[dict[str, Any]]]:
    content, _ = read_json(file)
    content = content if isinstance(content, Mapping) else {}
    content = {part: content.get(part) or [] for part in SEGMENTS}
    some = content['annotations']
    listed = isinstance(some, list) and all(isinstance(one, Mapping) for one in some)
    if not some or (listed and not all('segments_info' in one for one in some)):
        if not with_labels:
            return {}
        raise LabelError(
            f'{file} is no panoptic file: its annotations must have segments_info '
            '(objects alone are for mm_configs/detection)'
        )
    return validated(content, SEGMENTS, file)


def kinds_of(
    dataset: Mapping[str, Any], kind: type
) -> tuple[Sequence[str], Sequence[str]]:
    """Name the classes of objects and of regions.

    Args:
        dataset: Config of a panoptic data set, whose ``metainfo`` comes first.
        kind: Its class, whose lists go with its own classes alone.

    Returns:
        ``thing_classes`` and ``stuff_classes``; empty where they are not said.
    """
    given = dataset.get('metainfo') or {}
    known = {} if 'classes' in given else kind.METAINFO
    return tuple(
        tuple(given.get(key) or known.get(key) or ())
        for key in ('thing_classes', 'stuff_classes')
    )


def _check_kinds(
    dataset: Mapping[str, Any],
    classes: Sequence[str],
    things: Sequence[str],
    stuff: Sequence[str],
    report: Report,
) -> None:
    if not stuff:
        report.problem(
            'metainfo has no stuff_classes, the classes of regions: set '
            'metainfo.thing_classes and metainfo.stuff_classes (objects alone are for '
            'mm_configs/detection)'
        )
    elif [*things, *stuff] != list(classes):
        report.problem(
            'metainfo.classes must be thing_classes, then stuff_classes: it is '
            f'{some(classes)}, and they are {some(things)} and {some(stuff)}'
        )


def _check_categories(
    categories: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    things: Sequence[str],
    stuff: Sequence[str],
    report: Report,
) -> None:
    by_name = {category['name']: category for category in categories}
    lost = [name for name in classes if name not in by_name]
    report.problem(
        'classes of the config that are no categories of the file (correct '
        'metainfo.classes)',
        lost,
    )
    bare = [name for name, c in by_name.items() if 'isthing' not in c]
    report.problem(
        'categories that do not say isthing (1 of objects, 0 of regions)', bare
    )
    for word, names, wanted in (('stuff', stuff, 0), ('thing', things, 1)):
        other = [
            n for n in names if by_name.get(n, {}).get('isthing', wanted) != wanted
        ]
        report.problem(
            f'{word}_classes whose category says isthing={1 - wanted} (correct one)',
            other,
        )


def _classes_of(file: Path, numbers: Mapping[int, int]) -> np.ndarray:
    with Image.open(file) as image:
        segments = rgb2id(np.asarray(image.convert('RGB')))
    classes = np.full(segments.shape, IGNORED, np.uint8)
    for segment, number in numbers.items():
        classes[segments == segment] = number
    return classes
