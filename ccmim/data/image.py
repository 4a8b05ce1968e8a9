"""Encoded bytes to an RGB picture, whatever the file was."""

import io
import math

import numpy as np
from PIL import ExifTags, Image

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


class BadImageError(Exception):
    """The bytes hold no picture that can be used; the text says why."""


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
        BadImageError: Empty, not an image, cut short, or so large that decoding it
            could exhaust the memory (PIL's limit, about 179 million pixels).
    """
    if not data:
        raise BadImageError('empty file')
    try:
        image = Image.open(io.BytesIO(data))
        if least_side > 0:
            scale = least_side / min(image.size)
            # Decodes at the smallest size that is not below; other kinds ignore it.
            image.draft(None, tuple(math.ceil(side * scale) for side in image.size))
        image.load()
        return _rgb(_upright(image))
    except Image.UnidentifiedImageError:
        raise BadImageError('not an image, or of an unknown kind') from None
    # On damaged bytes PIL's readers raise nearly anything, from SyntaxError to
    # struct.error; all of it means that this picture cannot be used.
    except Exception as error:
        raise BadImageError(str(error) or type(error).__name__) from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:
        return image  # the pixels are good: a damaged EXIF block is no reason to stop
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == 'RGB':
        return image
    if image.mode.startswith(('I', 'F')):
        image = Image.fromarray(_to_bytes(np.asarray(image)))
    elif image.mode == 'P' and 'transparency' in image.info:
        image = image.convert('RGBA')  # straight to RGB works too, with a warning
    return image.convert('RGB')


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Scale grey values (H, W) wider than 8 bits to 0..255.

    The file does not say what white is. Whole numbers: 65535, the white of 16 bits.
    Floats: the first of 1, 255 and 65535 that holds them all. Values outside these
    ranges are stretched from their minimum to their maximum.
    """
    whites = (1, 255, 65535) if values.dtype.kind == 'f' else (65535,)
    values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= whites[-1]:
        low, high = 0, next(white for white in whites if high <= white)
    return np.round((values - low) * (255 / ((high - low) or 1))).astype(np.uint8)
