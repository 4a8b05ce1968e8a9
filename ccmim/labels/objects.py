"""Check boxes and masks: inside their image, and consistent."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ccmim.labels.mask_geometry import area_of, bounds_of, runs_of
from ccmim.labels.report import Report

_TOLERANCE = 1.0  # px that coordinates may lie outside, by rounding
_CLOSE = 2.0  # px that the edges of a box and of its mask may differ
_HALF, _FULL = 0.5, 1.0
_LEAST = 0.1  # overlap of a box with that of its mask


def check_objects(
    objects: Sequence[Mapping[str, Any]],
    images: Mapping[Any, Mapping[str, Any]],
    categories: Mapping[Any, str],
    with_masks: bool,
    report: Report,
) -> None:
    """Check the annotations one by one.

    Args:
        objects: The annotations.
        images: What the file says of each image, by id.
        categories: Their names, by id.
        with_masks: Whether the config reads masks.
        report: What is found goes here.
    """
    faults, notes = defaultdict(list), defaultdict(list)
    seen: dict[Any, int] = {}
    for one in objects:
        name = f'annotation {one["id"]}'
        image = images.get(one['image_id'])
        if image is None:
            faults['annotations of images that are not in the file'].append(
                f'{name} of image {one["image_id"]}'
            )
            continue
        name += f' of {image["file_name"]}'
        if one['category_id'] not in categories:
            faults['annotations of categories that are not in the file'].append(
                f'{name}: category {one["category_id"]}'
            )
        if one.get('ignore'):
            notes['annotations marked as ignored, which mmdet leaves out'].append(name)
        size, box = (image['width'], image['height']), one.get('bbox')
        if fault := _box_fault(box, size):
            faults[fault].append(name)
            continue
        if _fraction_inside(box, size) < _FULL:
            notes['boxes that reach beyond their image'].append(name)
        key = (one['image_id'], one['category_id'], *box)
        if seen.setdefault(key, one['id']) != one['id']:
            notes['objects that are annotated twice'].append(name)
        mask = one.get('segmentation')
        fault = _mask_fault(mask, size)
        if fault and with_masks:
            faults[fault].append(name)
        elif not (fault or one['iscrowd']) and (fault := _elsewhere(box, mask)):
            faults[fault].append(f'{name}: box {_plain(box)}')
    for fault, names in faults.items():
        report.fault(fault, names, len(objects))
    for note, names in notes.items():
        report.note(note, names)


def _box_fault(box: Sequence[float] | None, size: tuple[int, int]) -> str | None:
    if not box or len(box) != 4:
        return 'boxes that are not four numbers (x, y, width, height)'
    _, _, width, height = box
    if width < 1 or height < 1:
        return 'boxes that are empty, smaller than a pixel (mmdet leaves them out)'
    inside = _fraction_inside(box, size)
    if not inside:
        return 'boxes that lie outside their image (mmdet leaves them out)'
    if inside < _HALF:
        return 'boxes of which less than half lies in their image'
    return None


def _fraction_inside(box: Sequence[float], size: tuple[int, int]) -> float:
    """Fraction of a box that lies in its image; rounding by a pixel does not count."""
    left, top, width, height = box
    if all(
        start >= -_TOLERANCE and start + length <= side + _TOLERANCE
        for start, length, side in zip(box[:2], box[2:], size, strict=True)
    ):
        return float(left < size[0] and top < size[1])
    across = min(left + width, size[0]) - max(left, 0)
    down = min(top + height, size[1]) - max(top, 0)
    area = width * height
    return max(0.0, across) * max(0.0, down) / area if area else 0.0


def _mask_fault(mask: Any, size: tuple[int, int]) -> str | None:
    if not mask:
        return (
            'objects without a mask, where others have one: give all of them '
            'segmentation; or none, to train on boxes (with_mask=False and no '
            'mask_head in a config)'
        )
    if isinstance(mask, Mapping):
        return _run_length_fault(mask, size)
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in mask):
        return 'masks with a polygon of fewer than three points (lost in training)'
    if not area_of(mask):
        return 'masks that are empty'
    if _fraction_inside(bounds_of(mask), size) < _HALF:
        return 'masks of which less than half lies in their image'
    return None


def _run_length_fault(mask: Mapping[str, Any], size: tuple[int, int]) -> str | None:
    if list(mask['size']) != [size[1], size[0]]:
        return 'masks of another size than their image (size is height, width)'
    runs = runs_of(mask['counts'])
    if min(runs, default=-1) < 0 or sum(runs) != size[0] * size[1]:
        return 'masks whose runs do not fill their image'
    return None if area_of(mask) else 'masks that are empty'


def _elsewhere(box: Sequence[float], mask: Any) -> str | None:
    """Compare a box with the one around its mask."""
    bounds = bounds_of(mask)
    if bounds is None or _are_close(box, bounds):
        return None
    rows = bounds_of(mask, by_rows=True) if isinstance(mask, Mapping) else None
    if rows and _are_close(box, rows):
        return "masks whose runs go along rows, where COCO's go down columns"
    x, y, right, bottom = box
    if right > x and bottom > y and _are_close([x, y, right - x, bottom - y], bounds):
        return 'boxes given as corners: write x, y, width, height'
    if _overlap(box, bounds) < _LEAST:
        return 'boxes elsewhere than their masks'
    return None


def _are_close(box: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether all edges of two boxes differ by a few pixels at most."""
    edges = [[*b[:2], b[0] + b[2], b[1] + b[3]] for b in (box, other)]
    return all(abs(a - b) <= _CLOSE for a, b in zip(*edges, strict=True))


def _overlap(box: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union; thin polygons of COCO have a half and less."""
    common, union = 1.0, box[2] * box[3] + other[2] * other[3]
    for i in (0, 1):
        end = min(box[i] + box[i + 2], other[i] + other[i + 2])
        common *= max(0.0, end - max(box[i], other[i]))
    return common / (union - common)


def _plain(box: Sequence[float]) -> str:
    return '[' + ', '.join(f'{value:g}' for value in box) + ']'
