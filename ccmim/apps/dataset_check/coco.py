"""Objects in COCO's format: does the file fit the config, the images and itself?"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ccmim.apps.dataset_check.drawing import Shape, draw_shapes
from ccmim.apps.dataset_check.files import check_sizes
from ccmim.apps.dataset_check.objects import check_objects
from ccmim.apps.dataset_check.report import Picture, Report, some
from ccmim.apps.dataset_check.settings import class_names, colours, place
from ccmim.engine.settings.names import did_you_mean

# What mmdet reads of each.
_KEYS = dict(
    images=('id', 'file_name', 'width', 'height'),
    annotations=('id', 'image_id', 'category_id', 'bbox', 'area'),
    categories=('id', 'name'),
)


def check_coco(
    dataset: Mapping[str, Any], kind: type, report: Report, num_pictures: int
) -> None:
    """Check the annotation file and the images of a split of objects.

    Args:
        dataset: Config of an mmdet data set that reads COCO's or LVIS's format.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many of the images to prepare for the sheet.

    Raises:
        ValueError: If the config itself has no place for the data.
    """
    classes = class_names(dataset, kind)
    palette = colours(dataset, kind, classes, report)
    content = _read(place(dataset, dataset.get('ann_file') or ''), report)
    if content is None:
        return
    images, objects = content['images'], content['annotations']
    report.images = len(images)
    names = {category['id']: category['name'] for category in content['categories']}
    _check_categories(classes, list(names.values()), report)
    _check_ids(content, report)
    by_id = {image['id']: image for image in images}
    folder = place(dataset, (dataset.get('data_prefix') or {}).get('img') or '')
    check_sizes(
        folder, {i['file_name']: (i['width'], i['height']) for i in images}, report
    )
    check_objects(objects, by_id, names, _wants_masks(dataset), report)

    counts = Counter(names.get(o['category_id']) for o in objects)
    report.counts = {name: counts[name] for name in classes}
    report.note(
        'classes without objects', [name for name in classes if not counts[name]]
    )
    held = defaultdict(list)
    for one in objects:
        held[one['image_id']].append(one)
    bare = [image['file_name'] for image in images if image['id'] not in held]
    left_out = (dataset.get('filter_cfg') or {}).get('filter_empty_gt')
    report.note(
        f'images without annotations{" (training skips them)" if left_out else ""}',
        bare,
    )
    colour_of = dict(zip(classes, palette, strict=True))
    for image in images[:num_pictures]:
        shapes = [
            Shape(name, colour_of[name], one['bbox'], one.get('segmentation'))
            for one in held[image['id']]
            if (name := names.get(one['category_id'])) in colour_of
        ]
        file = image['file_name']
        draw = partial(draw_shapes, folder / file, shapes)
        report.pictures.append(Picture(file, draw))


def _read(file: Path, report: Report) -> dict[str, Any] | None:
    if not file.is_file():
        report.problem(f'annotation file {file} does not exist')
        return None
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except ValueError as error:
        report.problem(f'annotation file {file} is no JSON: {error}')
        return None
    for part in ('images', 'annotations', 'categories'):
        if not isinstance(content, dict) or not content.get(part):
            report.problem(f'the split is empty: {file} holds no {part}')
            return None
    for image in content['images']:
        if 'coco_url' in image and 'file_name' not in image:
            # LVIS names addresses, whose last two parts are folder and file.
            image['file_name'] = '/'.join(image['coco_url'].split('/')[-2:])
    before = len(report.problems)
    for part, keys in _KEYS.items():
        for key in keys:
            lacking = [i for i, one in enumerate(content[part]) if key not in one]
            report.problem(f'{part} (counted from 0) without {key!r}', lacking)
    return content if len(report.problems) == before else None


def _check_categories(
    classes: Sequence[str], names: Sequence[str], report: Report
) -> None:
    for name in classes:
        if name not in names:
            report.problem(
                f'class {name!r} of the config is no category of the file'
                f'{did_you_mean(name, names)} (the file has {some(names)})'
            )
    extra = [name for name in names if name not in classes]
    report.note('categories that are not in metainfo.classes and left out', extra)
    in_file = [name for name in names if name in classes]
    if set(in_file) == set(classes) and in_file != list(classes):
        report.problem(
            'classes are numbered in the order of the file: give metainfo.classes as '
            f'{some(in_file)}'
        )


def _check_ids(content: Mapping[str, Any], report: Report) -> None:
    for part in ('images', 'annotations', 'categories'):
        found = Counter(one['id'] for one in content[part])
        twice = [one for one, count in found.items() if count > 1]
        report.problem(f'ids that several {part} have', twice)
    files = Counter(image['file_name'] for image in content['images'])
    twice = [file for file, count in files.items() if count > 1]
    report.problem('images that are listed more than once', twice)


def _wants_masks(dataset: Mapping[str, Any]) -> bool:
    return any(step.get('with_mask') for step in dataset.get('pipeline') or ())
