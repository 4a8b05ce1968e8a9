"""Pictures embedded in a report, scaled to their size on the page."""

import base64
import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

_SIDE, _QUALITY = 1600, 85  # the largest side in pixels, and the quality of JPEG


class Picture(NamedTuple):
    """A picture in a page.

    Attributes:
        uri: The picture itself as a ``data:`` address.
        caption: What is to be seen.
        width: In pixels.
        height: In pixels.
    """

    uri: str
    caption: str
    width: int
    height: int


def embed(file: Path, caption: str, max_bytes: int) -> Picture | None:
    """Put a picture into an address.

    One that is small enough stays as it is, to the pixel; another becomes a JPEG,
    smaller until it fits.

    Args:
        file: A picture.
        caption: What is to be seen.
        max_bytes: How long the file in the page may be.

    Returns:
        The picture; None if the file is none that can be read.
    """
    try:
        with Image.open(file) as image:
            kind, size = image.format, image.size
            rgb = image.convert('RGB')
        data = file.read_bytes()
    except Exception:  # what Pillow raises for a damaged file has no common base
        return None
    if kind not in ('PNG', 'JPEG') or len(data) > max_bytes or max(size) > _SIDE:
        kind, side = 'JPEG', _SIDE
        data = _jpeg(rgb, side)
        while len(data) > max_bytes and side > 64:
            side = side * 3 // 4
            data = _jpeg(rgb, side)
        size = rgb.size
    text = base64.b64encode(data).decode()
    return Picture(f'data:image/{kind.lower()};base64,{text}', caption, *size)


def _jpeg(image: Image.Image, side: int) -> bytes:
    """Shrink the image in place."""
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, 'JPEG', quality=_QUALITY)
    return stream.getvalue()
