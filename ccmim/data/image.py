"""Decode an image file to RGB."""

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from ccmim.data.sniff import what_instead

# 512 MiB hold an uncompressed 8-bit RGB picture of as many pixels as are allowed.
MAX_BYTES = 2**29
MAX_PIXELS = 178_956_970  # where PIL stops too, unless somebody changed its limit

# No reader that would start a program (EPS) or that takes anything for an image (TGA).
_READ = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP', 'TIFF', 'JPEG2000', 'PPM', 'AVIF')
Image.init()
_KINDS = [kind for kind in _READ if kind in Image.OPEN]
# Editors leave more than PIL's megabyte of text in a PNG; all of its texts are bounded.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

# EXIF orientation -> what turns the stored picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTED = ('exif', 'Raw profile type exif', 'XML:com.adobe.xmp', 'xmp')


class BadImageError(Exception):
    """The bytes hold no picture that can be used; the text says why.

    It begins with one of a few kinds, and continues after a colon: ``empty``, ``cut
    short``, ``damaged``, ``not an image``, ``unknown kind``, ``refused``.
    """


def require_rgb(channels: int, what: str) -> None:
    """Refuse a network for other images than those that are read here.

    Args:
        channels: That it takes.
        what: Its name, for the message.

    Raises:
        ValueError: If they are not red, green and blue.
    """
    if channels != 3:
        raise ValueError(
            f'{what} takes {channels} channels, and images are read as RGB: only '
            'networks of 3 can be trained, tested or given photos (its encode takes '
            'tensors of any)'
        )


def refuse_large(num_bytes: int) -> None:
    """Refuse a file by its size, before it is read.

    Args:
        num_bytes: Its size.

    Raises:
        BadImageError: It is larger than 512 MiB (``MAX_BYTES``).
    """
    if num_bytes > MAX_BYTES:
        raise BadImageError(
            f'refused: {num_bytes / 1e6:,.0f} MB file (limit {MAX_BYTES / 1e6:.0f})'
        )


def open_image(data: bytes) -> Image.Image:
    """Read the header of an image.

    Args:
        data: A whole encoded file.

    Returns:
        A picture that is not decoded yet: its kind (``format``), mode, stored size.

    Raises:
        BadImageError: Empty, no image of a kind that is read, or of more than 179
            million pixels, which could exhaust the memory (``MAX_PIXELS``).
    """
    if not data:
        raise BadImageError('empty')
    with _bad_images():
        try:
            image = Image.open(io.BytesIO(data), formats=_KINDS)
        except Image.UnidentifiedImageError:
            raise BadImageError(what_instead(data)) from None
        except Image.DecompressionBombError as error:
            pixels = int(re.findall(r'\d+', str(error))[0])
            raise _too_many(pixels) from None
        if math.prod(image.size) > MAX_PIXELS:
            raise _too_many(math.prod(image.size))
    return image


def decode_image(data: bytes, least_side: int = 0) -> Image.Image:
    """Decode the first frame of an image to 8-bit RGB, upright.

    EXIF rotation is applied. Alpha is dropped, not blended, as PIL's ``convert`` and
    OpenCV do: what lies below transparent pixels is seen. Pixels wider than 8 bits
    are scaled, not clipped (see ``_to_bytes``).

    Args:
        data: A whole encoded file.
        least_side: When positive, a JPEG may be decoded at a half, a quarter or an
            eighth of its size, which is several times as fast, as long as its short
            side keeps so many pixels.

    Returns:
        The picture, mode ``RGB``.

    Raises:
        BadImageError: What ``open_image`` refuses, and what is damaged or cut short.
    """
    image = open_image(data)
    with _bad_images():
        if least_side > 0:
            scale = least_side / min(image.size)
            # Decodes at the smallest size that is not below; other kinds ignore it.
            image.draft(None, tuple(math.ceil(side * scale) for side in image.size))
        image.load()
        return to_rgb(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """Turn a picture upright and to 8-bit RGB, as ``decode_image`` does.

    Args:
        image: Of any mode, as ``PIL.Image.open`` gives it.

    Returns:
        The picture, mode ``RGB``.

    Raises:
        BadImageError: All its values are NaN or infinite.
    """
    white = _white_of(image)
    return _rgb(_upright(image), white)


def _white_of(image: Image.Image) -> int:
    """The largest whole number, by the bits that a TIFF says it has."""
    bits = getattr(image, 'tag_v2', {}).get(ExifTags.Base.BitsPerSample, (16,))[0]
    return 2**bits - 1 if 8 < bits < 16 else 65535


@contextmanager
def _bad_images() -> Iterator[None]:
    try:
        yield
    except (BadImageError, MemoryError):
        raise
    # On damaged bytes PIL's readers raise nearly anything, from SyntaxError to
    # struct.error; all of it means that this picture cannot be used.
    except Exception as error:
        text = str(error) or type(error).__name__
        cut = isinstance(error, EOFError) or 'truncated' in text.lower()
        kind = 'cut short' if cut else 'damaged'
        raise BadImageError(f'{kind}: {text}') from error


def _too_many(pixels: int) -> BadImageError:
    return BadImageError(
        f'refused: {pixels / 1e6:,.0f} MP picture (limit {MAX_PIXELS / 1e6:.0f})'
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return image  # the pixels are good: a damaged EXIF block is no reason to stop
    method = _UPRIGHT.get(orientation)
    if method is None:
        return image
    turned = image.transpose(method)
    for name in _ORIENTED:  # else whoever turns it again turns it too far
        turned.info.pop(name, None)
    return turned


def _rgb(image: Image.Image, white: int) -> Image.Image:
    if image.mode == 'RGB':
        return image
    if image.mode.startswith(('I', 'F')):
        image = Image.fromarray(_to_bytes(np.asarray(image), white))
    elif image.mode == 'P' and 'transparency' in image.info:
        image = image.convert('RGBA')  # straight to RGB works too, with a warning
    return image.convert('RGB')


def _to_bytes(values: np.ndarray, white: int) -> np.ndarray:
    """Scale gray values (H, W) wider than 8 bits to 0..255.

    Most files do not say what white is. Whole numbers: ``white``, often 65535.
    Floats: the first of 1, 255 and 65535 that holds them all. Values outside these
    ranges are stretched from their minimum to their maximum.
    """
    floats = values.dtype.kind == 'f'
    if floats:
        if not np.isfinite(values).any():
            raise BadImageError('damaged: all values are NaN or infinite')
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    whites = (1, 255, 65535) if floats else (white, 65535)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= whites[-1]:
        low, high = 0, next(white for white in whites if high <= white)
    scale = 255 / ((high - low) or 1)
    scaled = np.empty(values.shape, np.uint8)
    # In blocks of rows: float64 would take eight times the memory of the result.
    rows = max(1, 2**20 // values.shape[1])
    for start in range(0, len(values), rows):
        block = values[start : start + rows].astype(np.float64)
        scaled[start : start + rows] = np.round((block - low) * scale)
    return scaled
