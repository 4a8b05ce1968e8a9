"""Draw images with their annotations."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ccmim.files import replacing
from ccmim.labels.report import Color, Picture

_CELL, _CAPTION, _COLUMNS = 320, 16, 4  # px, px, pictures in a row
_NEAREST = Image.Resampling.NEAREST


class Shape(NamedTuple):
    """An object to draw: its class, color, box (x, y, width, height) and mask."""

    name: str
    color: Color
    box: Sequence[float]
    mask: Any = None


def open_upright(file: Path | str) -> Image.Image:
    """Read an image as RGB, turned as its camera says."""
    with Image.open(file) as image:
        return ImageOps.exif_transpose(image).convert('RGB')


def draw_shapes(file: Path | str, shapes: Sequence[Shape]) -> Image.Image:
    """Draw objects over an image, at least as large as a cell: masks, boxes, names."""
    image = open_upright(file)
    for shape in shapes:
        overlay = Image.new('RGB', image.size, shape.color)
        half = draw_mask(shape.mask, image.size).point(lambda v: v // 2)
        image.paste(overlay, mask=half)
    factor = -(-_CELL // max(image.size))
    image = image.resize((factor * image.width, factor * image.height), _NEAREST)
    draw, font = ImageDraw.Draw(image), _font(image.width / 25)
    for shape in shapes:
        left, top, width, height = (factor * value for value in shape.box)
        corners = sorted((left, left + width)), sorted((top, top + height))
        (left, right), (top, bottom) = corners
        draw.rectangle((left, top, right, bottom), outline=shape.color, width=2)
        draw.text(
            (max(0, left) + 3, max(0, top) + 1),
            shape.name,
            'white',
            font,
            stroke_width=1,
            stroke_fill='black',
        )
    return image


def draw_classes(
    file: Path, read: Callable[[], np.ndarray], first: int, palette: Sequence[Color]
) -> Image.Image:
    """Draw the classes of the pixels over an image; ignored pixels stay as they are.

    Args:
        file: The image.
        read: Reads the numbers of its pixels (H, W).
        first: Number of the first class in the map.
        palette: Colors of the classes.
    """
    image = np.asarray(open_upright(file)).copy()
    numbers = read().astype(int) - first
    if numbers.shape != image.shape[:2]:
        return Image.fromarray(image)
    known = (numbers >= 0) & (numbers < len(palette))
    colors = np.asarray(palette, dtype=float)[np.where(known, numbers, 0)]
    image[known] = (0.4 * image + 0.6 * colors)[known]
    return Image.fromarray(image)


def write_sheet(
    pictures: Sequence[Picture], file: Path, legend: Mapping[str, Color]
) -> None:
    """Write pictures side by side, four in a row; what cannot be drawn is gray.

    Args:
        pictures: What to draw, with its title.
        file: Where the sheet goes.
        legend: Colors to explain below the pictures.
    """
    rows = [_row(pictures[i : i + _COLUMNS]) for i in range(0, len(pictures), _COLUMNS)]
    rows += _legend(legend)
    sheet = Image.new('RGB', (_COLUMNS * _CELL, sum(r.height for r in rows)), 'white')
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    with replacing(file) as part:
        sheet.save(part)


def _row(pictures: Sequence[Picture]) -> Image.Image:
    images = []
    for picture in pictures:
        try:
            image = picture.draw()
        except (OSError, ValueError):  # reported already
            image = Image.new('RGB', (_CELL, _CELL // 2), 'gray')
        images.append(ImageOps.contain(image, (_CELL - 4, _CELL - 4)))
    height = max(image.height for image in images)
    row = Image.new('RGB', (_COLUMNS * _CELL, height + _CAPTION + 4), 'white')
    draw = ImageDraw.Draw(row)
    for i, (picture, image) in enumerate(zip(pictures, images, strict=True)):
        row.paste(image, (i * _CELL, 0))
        draw.text((i * _CELL, image.height), picture.title[-52:], 'black', _font(11))
    return row


def _legend(colors: Mapping[str, Color]) -> list[Image.Image]:
    """One line for every eight colors."""
    entries, wide = list(colors.items()), _COLUMNS * _CELL // 8
    lines = []
    for start in range(0, len(entries), 8):
        line = Image.new('RGB', (_COLUMNS * _CELL, _CAPTION + 2), 'white')
        draw = ImageDraw.Draw(line)
        for i, (name, color) in enumerate(entries[start : start + 8]):
            left = i * wide
            draw.rectangle((left, 2, left + 12, 14), color, 'black')
            draw.text((left + 16, 1), name[:22], 'black', _font(11))
        lines.append(line)
    return lines


def draw_mask(mask: Any, size: tuple[int, int]) -> Image.Image:
    """Paint a mask, polygons or run lengths, 255 on 0; ``size`` is width and height."""
    if isinstance(mask, dict):
        from pycocotools import mask as coco_mask

        plain = isinstance(mask['counts'], list)
        rle = coco_mask.frPyObjects(mask, *mask['size']) if plain else mask
        return Image.fromarray(255 * coco_mask.decode(rle))
    drawn = Image.new('L', size)
    for polygon in mask or ():
        if len(polygon) >= 6:
            ImageDraw.Draw(drawn).polygon(polygon, fill=255)
    return drawn


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(10, size))
