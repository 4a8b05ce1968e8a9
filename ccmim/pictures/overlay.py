"""Draw objects and classes on a photo, with a legend.

n objects, H W photo.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from ccmim.pictures.tiles import letters

Color: TypeAlias = tuple[int, int, int]

_LEAST_SIDE = 448  # pixels of the longer side of a picture with letters
_ROW, _BOX = 24, 14  # pixels of a line of the legend, and of its colors


class Objects(NamedTuple):
    """What was found in a photo, or is marked there.

    Attributes:
        boxes: Left, top, right and bottom in pixels, (n, 4).
        labels: Numbers of the classes, (n,).
        scores: How sure they are, (n,); None of marked ones.
        masks: Whether a pixel belongs to it, (n, H, W); None without.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None


def draw_objects(
    photo: np.ndarray,
    objects: Objects,
    classes: Sequence[str],
    colors: Sequence[Color],
) -> np.ndarray:
    """Draw masks, boxes, and names where they fit into their object.

    Args:
        photo: uint8 RGB pixels (H, W, 3).
        objects: What to draw, the surest first.
        classes: Names of the classes.
        colors: Colors of the classes.

    Returns:
        uint8 RGB pixels (H, W, 3); small photos are enlarged by a whole number, as
        letters and lines would else cover their objects.
    """
    pixels = photo.astype(float)
    if objects.masks is not None:
        for mask, label in zip(objects.masks, objects.labels, strict=True):
            mask = np.asarray(mask, bool)
            pixels[mask] = 0.55 * pixels[mask] + 0.45 * np.array(colors[label])
    large, factor = _enlarged(pixels.round().astype(np.uint8))
    picture = Image.fromarray(large)
    draw, size = ImageDraw.Draw(picture), max(10, round(max(large.shape[:2]) / 40))
    for i in range(len(objects.labels))[::-1]:  # the surest on top
        left, top, right, bottom = (factor * objects.boxes[i]).tolist()
        color = tuple(colors[objects.labels[i]])
        box = (left, top, max(left, right), max(top, bottom))
        draw.rectangle(box, outline=color, width=max(1, size // 6))
        name = classes[objects.labels[i]]
        score = '' if objects.scores is None else f'{objects.scores[i]:.2f}'
        for text in (f'{name} {score}'.strip(), score):
            width = draw.textlength(text, letters(size)) + 4
            if text and width <= right - left and size + 4 <= bottom - top:
                draw.rectangle((left, top, left + width, top + size + 4), color)
                ink = 'black' if sum(color) > 380 else 'white'
                draw.text((left + 2, top + 1), text, ink, letters(size))
                break
    return np.asarray(picture)


def draw_map(
    photo: np.ndarray, numbers: np.ndarray, colors: Sequence[Color]
) -> np.ndarray:
    """Color the pixels of a photo (H, W, 3) by their classes (H, W).

    Numbers that are no class leave the pixel as it is.
    """
    numbers = numbers.astype(int)
    known = (numbers >= 0) & (numbers < len(colors))
    paint = np.asarray(colors, float)[np.where(known, numbers, 0)]
    mixed = np.where(known[..., None], 0.4 * photo + 0.6 * paint, photo)
    return mixed.round().astype(np.uint8)


def with_legend(
    picture: np.ndarray, legend: Mapping[str, Color], title: str = ''
) -> np.ndarray:
    """Write names and their colors below a picture.

    Args:
        picture: uint8 RGB pixels; enlarged if it is small.
        legend: Colors by name.
        title: The first line, such as the name of the file.
    """
    picture, _ = _enlarged(picture)
    width, font = picture.shape[1], letters(15)
    rows: list[list[tuple[str, Color | None]]] = [[(title, None)]] if title else []
    free = 0.0
    for name, color in legend.items():
        needed = font.getlength(name) + _BOX + 22
        if not rows or rows[-1][0][1] is None or needed > free:
            rows.append([])
            free = width - 8
        rows[-1].append((name, tuple(color)))
        free -= needed
    strip = Image.new('RGB', (width, _ROW * len(rows) + 4), 'white')
    draw = ImageDraw.Draw(strip)
    for i, row in enumerate(rows):
        left, top = 8.0, 3 + i * _ROW
        for name, color in row:
            if color is not None:
                draw.rectangle((left, top + 3, left + _BOX, top + 3 + _BOX), color)
                left += _BOX + 6
            draw.text((left, top), name, (32, 33, 36), font)
            left += font.getlength(name) + 16
    return np.concatenate([picture, np.asarray(strip)])


def _enlarged(picture: np.ndarray) -> tuple[np.ndarray, int]:
    factor = -(-_LEAST_SIDE // max(picture.shape[:2]))
    return picture.repeat(factor, 0).repeat(factor, 1), factor
