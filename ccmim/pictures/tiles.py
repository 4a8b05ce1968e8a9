"""Arrange tiles under column labels, as one picture.

B batch, N patches, H W image.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SIDE = 224  # pixels of a tile's longer side, about
_GAP, _BLOCK_GAP, _MARGIN = 6, 26, 14  # pixels between tiles, blocks and at the edge
_HEAD, _LINE, _TEXT = 27, 22, 17  # pixels of the labels, of a line and of letters
_INK, _PALE = (32, 33, 36), (95, 99, 104)
_FONTS = Path(matplotlib.get_data_path()) / 'fonts/ttf'


def tile_size(grid: Sequence[int], side: int = SIDE) -> tuple[int, int]:
    """Choose the height and width of a tile so that each patch is a whole square.

    Args:
        grid: Rows and columns of patches.
        side: Pixels that the longer side should have, about.
    """
    unit = max(1, round(side / max(grid)))
    return grid[0] * unit, grid[1] * unit


def enlarge(images: Tensor, size: Sequence[int]) -> np.ndarray:
    """Resize images to the size of the tiles, smoothly.

    Args:
        images: Values in [0, 1], of shape (B, 3, H, W).
        size: Height and width of the tiles.

    Returns:
        uint8, of shape (B, height, width, 3).
    """
    images = (images.float().cpu().clamp(0, 1) * 255).round().byte()
    return np.stack([resized(image, size) for image in images.permute(0, 2, 3, 1)])


def resized(image: Tensor | np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize one uint8 image (H, W, 3), smoothly."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.size == (size[1], size[0]):
        return np.asarray(picture)
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BICUBIC))


def spread(values: Tensor, grid: Sequence[int], size: Sequence[int]) -> np.ndarray:
    """Spread a value for each patch over its square, with hard edges.

    Args:
        values: One row for each image, of shape (B, N) or (B, N, channels).
        grid: Rows and columns of the patches.
        size: Height and width of the tiles.

    Returns:
        float32, of shape (B, height, width), or (B, height, width, channels).
    """
    maps = values.float().cpu().reshape(*values.shape[:2], -1).transpose(1, 2)
    maps = F.interpolate(maps.unflatten(2, tuple(grid)), tuple(size), mode='nearest')
    maps = maps.permute(0, 2, 3, 1).numpy()
    return maps[..., 0] if values.ndim == 2 else maps


def heat(
    values: Tensor, grid: Sequence[int], images: np.ndarray, alpha: float = 0.65
) -> np.ndarray:
    """Lay a map over images, dark blue for the lowest value and yellow for the highest.

    Args:
        values: A value for each patch, of shape (B, N), on the host. Each image has
            its own range, of which the highest twentieth is yellow; one value
            everywhere is its middle.
        grid: Rows and columns of the patches.
        images: uint8 tiles of shape (B, height, width, 3).
        alpha: How much the map covers, in [0, 1].

    Returns:
        uint8 tiles.
    """
    low = values.amin(dim=1, keepdim=True)
    high = values.quantile(0.95, dim=1, keepdim=True)
    flat = high - low <= 1e-6 * high.abs()
    scaled = torch.where(flat, 0.5, (values - low) / (high - low).clamp(min=1e-30))
    colors = colormaps['viridis'](spread(scaled, grid, images.shape[1:3]))[..., :3]
    gray = images.mean(axis=3, keepdims=True)
    return (255 * alpha * colors + (1 - alpha) * gray).round().astype(np.uint8)


def with_note(tile: np.ndarray, text: str) -> np.ndarray:
    """Write a short note into the lower left corner of a uint8 tile (H, W, 3)."""
    picture = Image.fromarray(tile)
    draw, font = ImageDraw.Draw(picture), letters(13)
    width, low = draw.textlength(text, font), picture.height
    draw.rectangle((0, low - 19, width + 9, low), fill=(0, 0, 0))
    draw.text((5, low - 17), text, 'white', font)
    return np.asarray(picture)


def named(tiles: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
    """Write the name of its file into each of some uint8 tiles; none without names."""
    if not names:
        return list(tiles)
    pairs = zip(tiles, names, strict=True)
    return [with_note(tile, Path(name).name) for tile, name in pairs]


def with_box(
    tile: np.ndarray, patch: int, grid: Sequence[int], color: tuple[int, int, int]
) -> np.ndarray:
    """Frame a patch, given by its number, of a uint8 tile (H, W, 3)."""
    picture = Image.fromarray(tile)
    height, width = picture.height / grid[0], picture.width / grid[1]
    top, left = patch // grid[1] * height, patch % grid[1] * width
    draw = ImageDraw.Draw(picture)
    for grow, ink in ((3, (0, 0, 0)), (2, color), (1, color), (0, color)):
        box = (left - grow, top - grow, left + width + grow, top + height + grow)
        draw.rectangle(box, outline=ink)
    return np.asarray(picture)


def sheet(
    columns: Mapping[str, Sequence[np.ndarray]], blocks: int = 1, caption: str = ''
) -> np.ndarray:
    """Join tiles to a table: a row an image, a labeled column for each thing shown.

    Args:
        columns: uint8 tiles (height, width, 3) of equally many images, by label. All
            are of one width; those of a row are of one height.
        blocks: How many images stand side by side, each with all columns.
        caption: A line below; it is broken where it is too long.

    Returns:
        A uint8 RGB picture of shape (height, width, 3).
    """
    first = next(iter(columns.values()))
    blocks, width = min(blocks, len(first)), first[0].shape[1]
    block = len(columns) * (width + _GAP) - _GAP
    total = 2 * _MARGIN + blocks * (block + _BLOCK_GAP) - _BLOCK_GAP
    lines = _broken(caption, total - 2 * _MARGIN)
    heights = [
        max(tile.shape[0] for tile in first[i : i + blocks]) + _GAP
        for i in range(0, len(first), blocks)
    ]
    tops = np.cumsum([_MARGIN + _HEAD, *heights]).tolist()
    picture = Image.new(
        'RGB', (total, tops[-1] + _LINE * len(lines) + _MARGIN), 'white'
    )
    draw = ImageDraw.Draw(picture)
    for position, (j, label) in product(range(blocks), enumerate(columns)):
        left = _MARGIN + position * (block + _BLOCK_GAP) + j * (width + _GAP)
        center = (left + width / 2, _MARGIN + _HEAD / 2 - 4)
        draw.text(center, label, _INK, _fitting(label, width), anchor='mm')
        for tile, top in zip(columns[label][position::blocks], tops, strict=False):
            picture.paste(Image.fromarray(tile), (left, top))
    for i, line in enumerate(lines):
        draw.text((_MARGIN, tops[-1] + 4 + _LINE * i), line, _PALE, letters(15))
    return np.asarray(picture)


def letters(size: int) -> ImageFont.FreeTypeFont:
    """Load the font of the labels at a size in pixels."""
    return ImageFont.truetype(str(_FONTS / 'DejaVuSans.ttf'), size)  # of matplotlib


def _fitting(label: str, width: int) -> ImageFont.FreeTypeFont:
    size = _TEXT
    while size > 8 and letters(size).getlength(label) > width:
        size -= 1
    return letters(size)


def _broken(text: str, width: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f'{lines[-1]} {word}' if lines else word
        if lines and letters(15).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
