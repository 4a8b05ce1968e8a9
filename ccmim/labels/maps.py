"""Segmentation maps: the class indices that training reads.

H W image.
"""

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from ccmim.labels.read import LabelError
from ccmim.ranges import Index

IGNORED = 255
Values: TypeAlias = dict[Any, Index] | Sequence[Sequence[Any]]
_LARGEST = 65535
_GRAY = 0  # color type of a PNG


def read_map(data: bytes, values: Values | None = None, name: str = '') -> np.ndarray:
    """Read the number of the class of each pixel.

    Args:
        data: An encoded picture: gray or palette of 1 to 16 bits, or gray saved as RGB.
        values: What the numbers or colors in the file stand for, such as
            ``[(0, 0), (255, 1)]`` or ``[((255, 0, 0), 1), ((0, 0, 0), 0)]``. All that
            are in the file must be there, but 255, which is ignored anyway. The
            numbers are those of the classes when None.
        name: Of the file, for messages.

    Returns:
        Array (H, W): uint8, or uint16 where a number is larger than 255.

    Raises:
        LabelError: It cannot be read, holds colors without ``values``, or has
            something that is not in ``values``.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels, kind = np.asarray(image), image.format
    except Exception as error:  # PIL raises nearly anything on damaged bytes
        if isinstance(error, UnidentifiedImageError):  # its text is an address
            raise LabelError(f'map {name} cannot be read: it is no picture') from None
        cut = 'truncated' in str(error).lower()
        how = 'is cut short' if cut else 'cannot be read'
        raise LabelError(f'map {name} {how}: {error or type(error).__name__}') from None
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    pixels = _unscaled(pixels, data) if kind == 'PNG' else pixels
    if pixels.ndim == 3 and (pixels.shape[2] == 2 or _is_gray(pixels)):
        pixels = pixels[..., 0]  # with alpha, or gray saved as RGB
    table = _table(values)
    if pixels.ndim == 3:
        return _of_colors(pixels[..., :3], table, name)
    if pixels.dtype.kind == 'f' and not (pixels == pixels.astype(np.int64)).all():
        raise LabelError(f'map {name} holds fractions: it must hold numbers of classes')
    pixels = pixels.astype(np.int64)
    if table is not None:
        pixels = _of_numbers(pixels, table, name)
    for number in (int(pixels.min(initial=0)), int(pixels.max(initial=0))):
        if not 0 <= number <= _LARGEST:
            raise LabelError(
                f'map {name} holds {number}: classes count from 0 to {_LARGEST:,}'
            )
    return pixels.astype(np.uint8 if pixels.max() <= IGNORED else np.uint16)


def _unscaled(pixels: np.ndarray, data: bytes) -> np.ndarray:
    """Undo what PIL makes of gray values of two and four bits: 0, 85, 170, 255."""
    _, _, bits, colors = struct.unpack('>IIBB', data[16:26])
    if colors == _GRAY and bits in (2, 4):
        return pixels // (255 // (2**bits - 1))
    return pixels


def _is_gray(pixels: np.ndarray) -> bool:
    first = pixels[..., 0]
    return bool((first == pixels[..., 1]).all() and (first == pixels[..., 2]).all())


def _table(values: Values | None) -> dict[Any, int] | None:
    if values is None:
        return None
    pairs = values.items() if isinstance(values, Mapping) else values
    try:
        table = {
            tuple(map(int, key)) if isinstance(key, list | tuple) else int(key): int(to)
            for key, to in pairs
        }
        if not all(0 <= number <= IGNORED for number in table.values()):
            raise ValueError
        return table
    except (TypeError, ValueError):
        raise ValueError(
            f'values={values!r} must be pairs of a number or a color, and a class from '
            '0 to 255: [(0, 0), (255, 1)]'
        ) from None


def _of_numbers(pixels: np.ndarray, table: dict[Any, int], name: str) -> np.ndarray:
    table = {key[0] if isinstance(key, tuple) else key: to for key, to in table.items()}
    classes = np.full(pixels.shape, IGNORED, np.int64)
    for number in np.unique(pixels).tolist():
        if number in table:
            classes[pixels == number] = table[number]
        elif number != IGNORED:
            raise LabelError(f'map {name} holds {number}, which is not in values')
    return classes


def _of_colors(
    pixels: np.ndarray, table: dict[Any, int] | None, name: str
) -> np.ndarray:
    if table is None:
        raise LabelError(
            f'map {name} is a picture in colors: maps hold the number of a class in '
            'each pixel; convert it, or say what the colors are: LoadAnnotations('
            'values=[((255, 0, 0), 1), ...])'
        )
    codes = pixels.astype(np.int64) @ (65536, 256, 1)
    known = {
        key[0] * 65536 + key[1] * 256 + key[2]: to
        for key, to in table.items()
        if isinstance(key, tuple)
    }
    numbers = np.empty(codes.shape, np.uint8)
    for code in np.unique(codes).tolist():
        if code not in known:
            color = (code >> 16, code >> 8 & 255, code & 255)
            raise LabelError(f'map {name} holds the color {color}, not in values')
        numbers[codes == code] = known[code]
    return numbers
