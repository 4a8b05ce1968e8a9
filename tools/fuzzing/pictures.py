"""Pictures of every kind that is read, maps of classes, tar shards and lists."""

import io
import random
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ccmim.data import BadImageError, decode_image, open_source
from ccmim.data.image import to_rgb
from ccmim.labels import LabelError
from ccmim.labels.maps import read_map
from ccmim.labels.photos import is_cut, upright_size
from fuzzing.changes import changed_bytes

_LINES = ('', '#', '/', '..', 'photos', 'a.jpg', '*.jpg', '\0', 'é.jpg', 'x' * 300)


def try_picture(draw: random.Random, folder: Path) -> str | None:
    """Decode a damaged picture, and read its header."""
    suffix, content = draw.choice(pictures())
    file = folder / f'a.{suffix}'
    file.write_bytes(changed_bytes(draw, content))
    refused = None
    try:
        upright_size(file)
        is_cut(file)
    except (OSError, ValueError) as error:
        refused = type(error).__name__
    try:
        image = decode_image(file.read_bytes(), draw.choice([0, 0, 8]))
        assert image.mode == 'RGB'
        assert image is to_rgb(image)
    except BadImageError as error:
        refused = str(error)
    return refused


def try_map(draw: random.Random, folder: Path) -> str | None:
    """Read a damaged map of classes."""
    _, content = draw.choice(maps())
    values = draw.choice([None, [(0, 0), (1, 1)], [((0, 0, 0), 0), ((9, 9, 9), 1)]])
    try:
        numbers = read_map(changed_bytes(draw, content), values, 'a.png')
    except LabelError as error:
        text = str(error)
        return text if 'a.png' in text else f'{text}\n(names no file)'
    assert numbers.ndim == 2
    assert numbers.dtype.kind == 'u'
    return None


def try_source(draw: random.Random, folder: Path) -> str | None:
    """Read all images of a damaged tar or list."""
    if draw.random() < 0.8:
        file = folder / 'a.tar'
        file.write_bytes(changed_bytes(draw, _near_headers(draw, shard())))
    else:
        (folder / 'a.jpg').write_bytes(pictures()[0][1])
        file = folder / 'a.txt'
        lines = '\n'.join(draw.choice(_LINES) for _ in range(draw.randrange(6)))
        file.write_bytes(changed_bytes(draw, lines.encode() or b'\n'))
    try:
        source = open_source(file)
    except (ValueError, OSError) as error:
        return str(error)
    refused = None
    for i in range(len(source)):
        assert source.name(i).isprintable()
        try:
            decode_image(source.read(i))
        except (BadImageError, OSError) as error:
            refused = str(error)
    return refused


@cache
def pictures() -> list[tuple[str, bytes]]:
    """A small picture of each kind: its suffix and its bytes."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    rgb = coarse.resize((48, 40), Image.Resampling.BICUBIC)
    grey, deep = rgb.convert('L'), np.asarray(rgb.convert('L')).astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    cases = [
        ('jpg', rgb, {}),
        ('jpg', rgb, dict(exif=exif)),
        ('jpg', rgb, dict(progressive=True)),
        ('jpg', rgb.convert('CMYK'), {}),
        ('png', rgb, {}),
        ('png', rgb.convert('RGBA'), dict(exif=exif)),
        ('png', rgb.quantize(16), {}),
        ('png', Image.fromarray(deep), {}),
        ('gif', rgb, dict(save_all=True, append_images=[rgb.rotate(9)])),
        ('webp', rgb, {}),
        ('webp', rgb, dict(save_all=True, append_images=[rgb.rotate(9)])),
        ('bmp', rgb, {}),
        ('tif', rgb, dict(compression='tiff_lzw')),
        ('tif', grey, dict(compression='tiff_adobe_deflate')),
        ('tif', Image.fromarray(deep), {}),
        ('tif', Image.fromarray(deep.astype(np.float32) / 65535), {}),
        ('tif', rgb, dict(save_all=True, append_images=[rgb])),
    ]
    return [(suffix, _saved(image, suffix, o)) for suffix, image, o in cases]


@cache
def maps() -> list[tuple[str, bytes]]:
    """Small maps of classes of several depths."""
    numbers = np.zeros((30, 40), np.uint8)
    numbers[:, 30:] = 1
    image = Image.fromarray(numbers)
    cases = [
        ('png', image, {}),
        ('png', Image.fromarray(numbers.astype(np.uint16)), {}),
        ('png', Image.fromarray(numbers > 0), {}),
        ('png', image.convert('P'), dict(bits=4)),
        ('png', image.convert('RGB'), {}),
        ('tif', image, {}),
    ]
    return [(suffix, _saved(image, suffix, o)) for suffix, image, o in cases]


@cache
def shard() -> bytes:
    """A tar of three photos, one with a long name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for name in ('a.jpg', 'b/c.jpg', f'{"d" * 120}.png'):
            info = tarfile.TarInfo(name)
            content = pictures()[0][1]
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _saved(image: Image.Image, suffix: str, options: dict) -> bytes:
    buffer = io.BytesIO()
    kind = {'jpg': 'JPEG', 'tif': 'TIFF'}.get(suffix, suffix.upper())
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _near_headers(draw: random.Random, content: bytes) -> bytes:
    """Change a byte of a header, with a right checksum in most cases."""
    text = bytearray(content)
    starts = [
        i for i in range(0, len(text), 512) if text[i + 257 : i + 262] == b'ustar'
    ]
    start = draw.choice(starts)
    offset = draw.choice([0, 100, 124, 125, 135, 156, 157, 257, 345]) + draw.randrange(
        8
    )
    text[start + offset] = draw.choice([0, 32, 48, 55, 128, 255, draw.randrange(256)])
    if draw.random() < 0.8:
        text[start + 148 : start + 156] = b' ' * 8
        total = sum(text[start : start + 512])
        text[start + 148 : start + 156] = b'%06o\0 ' % total
    return bytes(text)
