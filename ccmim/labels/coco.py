"""Check COCO annotations against the config, the images and each other."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ccmim.labels.convert import read_objects
from ccmim.labels.drawing import Shape, draw_shapes
from ccmim.labels.objects import check_objects
from ccmim.labels.photos import check_sizes, find_photo
from ccmim.labels.read import LabelError
from ccmim.labels.report import Picture, Report, shown, some
from ccmim.labels.settings import class_names, colors, did_you_mean, resolve_path, turns


def check_coco(
    dataset: Mapping[str, Any],
    kind: type,
    report: Report,
    num_pictures: int,
    with_labels: bool = True,
) -> None:
    """Check the annotation file and the images of a split of objects.

    Args:
        dataset: Config of an mmdet data set that reads COCO's or LVIS's format.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many of the images to prepare for the sheet.
        with_labels: Whether there must be annotations, as in all but test sets.

    Raises:
        ValueError: If the config itself has no place for the data.
    """
    classes = class_names(dataset, kind)
    palette = colors(dataset, kind, classes)
    file = resolve_path(dataset, dataset.get('ann_file') or '')
    report.source = str(file)
    try:
        content, notes = read_objects(file, with_labels)
    except LabelError as error:
        report.problem(str(error))
        return
    for note in notes:
        report.note(note)
    images, objects = content['images'], content['annotations']
    report.images = len(images)
    names = {category['id']: category['name'] for category in content['categories']}
    listed = [category['name'] for category in content['categories']]
    if not file.is_file() or file.suffix in ('.txt', '.xml'):
        # These layouts list no classes: a split may lack objects of some.
        listed = list(dict.fromkeys([*listed, *classes]))
    report.name_classes(listed)
    if with_labels or report.names:
        _check_categories(classes, report)
    _check_ids(content, report)
    by_id = {image['id']: image for image in images}
    folder = resolve_path(dataset, (dataset.get('data_prefix') or {}).get('img') or '')
    sizes = {i['file_name']: (i['width'], i['height']) for i in images}
    check_sizes(folder, sizes, report, turns(dataset))
    report.files = [find_photo(folder, name) for name in sizes]
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
    filters = {} if dataset.get('test_mode') else dataset.get('filter_cfg') or {}
    left_out, least = filters.get('filter_empty_gt'), filters.get('min_size', 0)
    report.note(
        f'images without annotations{" (training skips them)" if left_out else ""}',
        bare,
    )
    large = [i for i in images if min(i['width'], i['height']) >= least]
    report.note(
        f'images smaller than filter_cfg.min_size={least} (training skips them)',
        [i['file_name'] for i in images if min(i['width'], i['height']) < least],
    )
    wanted = {number for number, name in names.items() if name in classes}
    learned = any(
        not left_out or any(one['category_id'] in wanted for one in held[i['id']])
        for i in large
    )
    if with_labels and filters and not learned:
        report.problem(
            'nothing to learn from: no image has an object of a class of the config'
            + (f' and {least} px a side (filter_cfg.min_size)' if least else '')
        )
    color_of = dict(zip(classes, palette, strict=True))
    for image in images[:num_pictures]:
        shapes = [
            Shape(name, color_of[name], one['bbox'], one.get('segmentation'))
            for one in held[image['id']]
            if (name := names.get(one['category_id'])) in color_of
        ]
        name = image['file_name']
        draw = partial(draw_shapes, find_photo(folder, name), shapes)
        report.pictures.append(Picture(name, draw))


def _check_categories(classes: Sequence[str], report: Report) -> None:
    names = report.names
    twice = [name for name, count in Counter(names).items() if count > 1]
    report.problem('category names that are given twice: rename or join them', twice)
    twice = [name for name, count in Counter(classes).items() if count > 1]
    report.problem('metainfo.classes that are given twice', twice)
    for name in classes:
        if name not in names:
            report.problem(
                f'class {shown(name)!r} is no category of the file'
                f'{did_you_mean(name, names)} (the file has {some(names)}; asked for '
                f'are {some(list(classes))})'
            )
    extra = [name for name in names if name not in classes]
    report.note('categories that are not in metainfo.classes and left out', extra)


def _check_ids(content: Mapping[str, Any], report: Report) -> None:
    for part in ('images', 'categories'):
        counts = Counter(one['id'] for one in content[part])
        twice = [one for one, count in counts.items() if count > 1]
        report.problem(f'ids that several {part} have (give each its own)', twice)
    files = Counter(image['file_name'] for image in content['images'])
    twice = [file for file, count in files.items() if count > 1]
    report.problem('images that are listed more than once (list each once)', twice)


def _wants_masks(dataset: Mapping[str, Any]) -> bool:
    return any(step.get('with_mask') for step in dataset.get('pipeline') or ())
