"""CVAT's own export, 'CVAT for images': one XML file for all images."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from ccmim.labels.coco_file import CocoFile
from ccmim.labels.collected import Collected
from ccmim.labels.read import LabelError, read_xml, regular

_BOX = ('xtl', 'ytl', 'xbr', 'ybr')
_MASK = ('left', 'top', 'width', 'height')
_TAG = 'tags of whole images, which are no objects, are left out'


def is_cvat(file: Path) -> bool:
    """Return whether an XML file is a CVAT export, judging by its first kilobyte."""
    with open(regular(file), 'rb') as opened:
        return b'<annotations>' in opened.read(1024)


def read_cvat(file: Path) -> CocoFile:
    """Read boxes, polygons and masks.

    Args:
        file: The XML file.

    Returns:
        The content in COCO's format.

    Raises:
        LabelError: It is damaged, of a video, or holds objects of another kind.
    """
    root = read_xml(file)
    if root.find('track') is not None:
        raise LabelError(f"{file} is of a video: export it as 'CVAT for images'")
    if root.tag != 'annotations':
        raise LabelError(f'{file} is no export of CVAT: it begins with <{root.tag}>')
    labels = [one.text for one in root.iterfind('.//labels/label/name')]
    collected = Collected([name for name in labels if name])
    for image in root.iter('image'):
        name = image.get('name')
        try:
            size = int(image.attrib['width']), int(image.attrib['height'])
        except (KeyError, ValueError):
            size = (0, 0)
        if not name or min(size) < 1:
            raise LabelError(f'{file}: image {name!r} has no name, width and height')
        collected.image(name, size)
        for one in image:
            _add(collected, one, size, f'{file}: a {one.tag} of {name}')
    return collected.file(file)


def _add(collected: Collected, one: Element, size: tuple[int, int], where: str) -> None:
    label = one.get('label')
    if one.tag == 'tag':
        collected.notes = [_TAG]
        return
    if one.tag not in ('box', 'polygon', 'mask'):
        raise LabelError(f'{where} is no box, polygon or mask: delete or convert it')
    if not label:
        raise LabelError(f'{where} has no label')
    if one.get('rotation', '0.0').strip('0.'):
        raise LabelError(f'{where} is turned: draw it as a polygon')
    try:
        if one.tag == 'box':
            left, top, right, bottom = _numbers(one, _BOX)
            collected.add(label, [left, top, right - left, bottom - top])
        elif one.tag == 'polygon':
            pairs = one.attrib['points'].split(';')
            points = [float(v) for pair in pairs for v in pair.split(',', 1)]
            if not np.isfinite(points).all():
                raise ValueError
            collected.add(label, None, [points])
        else:
            collected.add(label, None, _runs(one, size))
    except (KeyError, ValueError, OverflowError):
        raise LabelError(f'{where} has no numbers that make one') from None


def _numbers(one: Element, names: tuple[str, ...]) -> list[float]:
    numbers = [float(one.attrib[name]) for name in names]
    if not np.isfinite(numbers).all():
        raise ValueError
    return numbers


def _runs(one: Element, size: tuple[int, int]) -> dict[str, Any]:
    """Turn runs along the rows of a part into COCO's, along the columns of all."""
    left, top, width, height = (int(v) for v in _numbers(one, _MASK))
    counts = np.array([int(v) for v in one.attrib['rle'].split(',')])
    columns, rows = size
    if (
        min(left, top, *counts) < 0
        or counts.sum() != width * height
        or left + width > columns
        or top + height > rows
    ):
        raise ValueError
    part = np.repeat(np.arange(len(counts)) % 2, counts).reshape(height, width)
    mask = np.zeros((rows, columns), bool)
    mask[top : top + height, left : left + width] = part
    flat = mask.ravel(order='F')
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends.tolist(), flat.size]).tolist()
    return dict(size=[rows, columns], counts=([0] if flat[0] else []) + runs)
