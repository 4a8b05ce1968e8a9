"""Boxes and masks in COCO's format: do they lie in their images?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ccmim.apps.dataset_check.report import Report

_TOLERANCE = 1.0  # px that coordinates may lie outside, by rounding


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
    found = defaultdict(list)
    for one in objects:
        name = f'annotation {one["id"]}'
        image = images.get(one['image_id'])
        if image is None:
            found['annotations of images that are not in the file'].append(
                f'{name} of image {one["image_id"]}'
            )
            continue
        name += f' of {image["file_name"]}'
        if one['category_id'] not in categories:
            found['annotations of categories that are not in the file'].append(
                f'{name}: category {one["category_id"]}'
            )
        size = image['width'], image['height']
        if fault := _box_fault(one.get('bbox'), size):
            found[fault].append(name)
        if with_masks and (fault := _mask_fault(one.get('segmentation'), size)):
            found[fault].append(name)
    for fault, names in found.items():
        report.problem(fault, names)


def _box_fault(box: Sequence[float] | None, size: tuple[int, int]) -> str | None:
    if not box or len(box) != 4:
        return 'boxes that are not four numbers (x, y, width, height)'
    left, top, width, height = box
    if width < 1 or height < 1:
        return 'boxes that are empty, smaller than a pixel (mmdet leaves them out)'
    inside = left < size[0] and top < size[1] and left + width > 0 and top + height > 0
    if not inside:
        return 'boxes that lie outside their image (mmdet leaves them out)'
    if not _within((left, left + width), size[0]) or not _within(
        (top, top + height), size[1]
    ):
        return 'boxes that reach beyond their image'
    return None


def _mask_fault(mask: Any, size: tuple[int, int]) -> str | None:
    if not mask:
        return 'objects without a mask'
    if isinstance(mask, Mapping):
        return _run_length_fault(mask, size)
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in mask):
        return 'masks with a polygon of fewer than three points'
    if not all(
        _within(polygon[axis::2], size[axis]) for polygon in mask for axis in (0, 1)
    ):
        return 'masks that reach beyond their image'
    if not any(_area(polygon) for polygon in mask):
        return 'masks that are empty'
    return None


def _run_length_fault(mask: Mapping[str, Any], size: tuple[int, int]) -> str | None:
    if list(mask['size']) != [size[1], size[0]]:
        return 'masks of another size than their image'
    if isinstance(mask['counts'], list):
        if sum(mask['counts']) != size[0] * size[1]:
            return 'masks whose runs do not fill their image'
        area = sum(mask['counts'][1::2])
    else:
        from pycocotools import mask as coco_mask

        area = int(coco_mask.area(mask))
    return None if area else 'masks that are empty'


def _within(values: Sequence[float], side: int) -> bool:
    return min(values) >= -_TOLERANCE and max(values) <= side + _TOLERANCE


def _area(polygon: Sequence[float]) -> float:
    xs, ys = polygon[::2], polygon[1::2]
    turned = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
    return abs(sum(x * next_y - next_x * y for x, y, next_x, next_y in turned)) / 2
