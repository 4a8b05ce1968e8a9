"""Runs, bounds and areas of masks in COCO format."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def runs_of(counts: Sequence[int] | str) -> list[int]:
    """List the lengths of runs, whether they are written as numbers or packed.

    Args:
        counts: Of a run-length mask; a text packs numbers into characters as
            pycocotools does: five bits each, and the difference to the run before the
            last one from the third on.

    Returns:
        The lengths; a text that ends inside a number gives a negative one.
    """
    if not isinstance(counts, str):
        return list(counts)
    runs: list[int] = []
    value, shift = 0, 0
    for char in counts:
        bits = ord(char) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return [*runs, -1] if shift else runs


def bounds_of(mask: Any, by_rows: bool = False) -> list[float] | None:
    """Compute the box (x, y, width, height) around a mask; None if it is empty.

    Args:
        mask: Polygons, or run lengths that fill their size.
        by_rows: Whether the runs go along rows, which COCO's do not.
    """
    if isinstance(mask, Mapping):
        runs, (height, width) = runs_of(mask['counts']), mask['size']
        if min(runs, default=-1) < 0 or sum(runs) != height * width:
            return None
        from pycocotools import mask as coco_mask

        size = (width, height) if by_rows else (height, width)
        packed = coco_mask.frPyObjects(dict(size=size, counts=runs), *size)
        box = coco_mask.toBbox(packed).tolist()
        if by_rows:
            box = [box[1], box[0], box[3], box[2]]
        return box if box[2] and box[3] else None
    xs = [x for polygon in mask or () for x in polygon[::2]]
    ys = [y for polygon in mask or () for y in polygon[1::2]]
    if not xs or not ys:
        return None
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def area_of(mask: Any) -> float:
    """Compute the pixels of a mask; polygons that overlap count twice."""
    if isinstance(mask, Mapping):
        return sum(runs_of(mask['counts'])[1::2])
    return sum(map(_area, mask or ()))


def _area(polygon: Sequence[float]) -> float:
    xs, ys = polygon[::2], polygon[1::2]
    if len(xs) != len(ys) or len(xs) < 3:
        return 0.0
    turned: Iterable = zip(xs, ys, [*xs[1:], xs[0]], [*ys[1:], ys[0]], strict=True)
    return abs(sum(x * next_y - next_x * y for x, y, next_x, next_y in turned)) / 2
