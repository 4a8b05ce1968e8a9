"""Any small image of any kind decodes to what an oracle says; any bytes do no harm."""

import io
import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ccmim.data.image import BadImageError, decode_image

# Lossless kinds, and the modes that they keep as they are.
KINDS = {
    'png': ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'],
    'bmp': ['1', 'L', 'P', 'RGB'],
    'tiff': ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'I;16', 'I', 'F'],
    'gif': ['L', 'P'],
    'webp': ['RGB', 'RGBA'],
}
WITH_EXIF = ('png', 'tiff', 'webp')
# What was done to the upright picture, so that the orientation undoes it.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: lambda a: np.rot90(a, -1),
}
KNOWN = ('cut short', 'damaged', 'empty', 'not an image', 'refused', 'unknown kind')
CHANNELS = {'LA': 2, 'RGB': 3, 'RGBA': 4, 'CMYK': 4}
SEARCH = settings(derandomize=True, database=None, deadline=None)
SEARCH = settings(SEARCH, suppress_health_check=list(HealthCheck))


def _pixels(mode, height, width, seed):
    rng = np.random.default_rng(seed)
    shape = (height, width, CHANNELS.get(mode, 1))
    if mode == '1':
        return rng.integers(0, 2, shape, np.uint8)
    if mode in ('I', 'I;16'):
        kind = np.int32 if mode == 'I' else np.uint16
        return rng.integers(0, 65_536, shape).astype(kind)
    if mode == 'F':
        return rng.uniform(0, 2, shape).astype(np.float32)
    return rng.integers(0, 256, shape, np.uint8)


def _image(mode, pixels, palette):
    stored = np.ascontiguousarray(pixels if mode in CHANNELS else pixels[..., 0])
    if mode == '1':
        return Image.fromarray(stored.astype(bool))
    if mode == 'P':
        image = Image.fromarray(stored, 'L').convert('P')
        image.putpalette(palette.tobytes())
        return image
    return Image.fromarray(stored, mode if mode in ('LA', 'CMYK') else None)


def _expected(mode, pixels, palette):
    """The upright picture, by the definition of each mode: (H, W, 3)."""
    if mode in ('RGB', 'RGBA'):
        return pixels[..., :3]
    if mode == 'P':
        return palette[pixels[..., 0]]
    if mode == 'CMYK':
        colors, black = pixels[..., :3].astype(float), pixels[..., 3:].astype(float)
        return (255 - colors) * (255 - black) / 255
    scale = {'1': 255, 'I': 1 / 257, 'I;16': 1 / 257, 'F': 1}.get(mode, 1)
    if mode == 'F':  # the first of the known whites that holds all values
        scale = 255 if pixels.max() <= 1 else 1
    return np.repeat(pixels[..., :1] * float(scale), 3, axis=-1)


@st.composite
def _pictures(draw):
    kind = draw(st.sampled_from(sorted(KINDS)))
    mode = draw(st.sampled_from(KINDS[kind]))
    side = st.integers(1, 64)
    orientation = draw(st.integers(1, 8)) if kind in WITH_EXIF else None
    seed = draw(st.integers(0, 2**32 - 1))
    return kind, mode, draw(side), draw(side), orientation, seed


@settings(SEARCH, max_examples=400)
@given(picture=_pictures(), least_side=st.sampled_from([0, 1, 16, 600]))
def test_a_picture_decodes_to_what_its_definition_says(picture, least_side):
    kind, mode, height, width, orientation, seed = picture
    upright = _pixels(mode, height, width, seed)
    palette = np.random.default_rng(seed + 1).integers(0, 256, (256, 3), np.uint8)
    stored = STORED[orientation or 1](upright)
    options = dict(lossless=True, exact=True) if kind == 'webp' else {}
    if orientation:
        exif = options['exif'] = Image.Exif()
        exif[274] = orientation
    buffer = io.BytesIO()
    _image(mode, stored, palette).save(buffer, kind, **options)
    decoded = decode_image(buffer.getvalue(), least_side)
    assert decoded.mode == 'RGB'
    assert decoded.size == (width, height)
    difference = np.asarray(decoded) - _expected(mode, upright, palette).astype(float)
    exact = mode not in ('CMYK', 'I', 'I;16', 'F')
    assert abs(difference).max() <= (0 if exact else 1)


@settings(SEARCH, max_examples=60)
@given(
    height=st.integers(1, 64),
    width=st.integers(1, 64),
    mode=st.sampled_from(['L', 'RGB', 'CMYK']),
    orientation=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_jpeg_comes_out_close(height, width, mode, orientation, seed):
    """Smooth pictures, as JPEG is made for."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(60, 196, (2, 2, 3), dtype=np.uint8)
    upright = Image.fromarray(corners).resize((width, height), Image.BICUBIC)
    upright = upright.convert(mode)
    stored = STORED[orientation](np.asarray(upright).reshape(height, width, -1))
    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    image = _image(mode, stored, None)
    image.save(buffer, 'jpeg', quality=98, subsampling=0, exif=exif)
    decoded = decode_image(buffer.getvalue())
    assert decoded.size == (width, height)
    expected = np.asarray(upright.convert('RGB'), float)
    assert abs(np.asarray(decoded) - expected).mean() < 3


def _whole_files():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 24, 24, 3), np.uint8)
    frames = [Image.fromarray(pixels) for pixels in noise]
    exif = Image.Exif()
    exif[274] = 6
    plain = {'jpeg': dict(exif=exif), 'png': dict(exif=exif), 'bmp': {}, 'ppm': {}}
    plain |= {'jpeg2000': {}, 'avif': {}, 'mpo': {}}
    for kind, options in plain.items():
        if kind.upper() in Image.SAVE:
            buffer = io.BytesIO()
            frames[0].save(buffer, kind, **options)
            yield buffer.getvalue()
    for kind in ('png', 'gif', 'webp', 'tiff'):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        yield buffer.getvalue()
    for compression in ('tiff_lzw', 'tiff_adobe_deflate', 'jpeg', 'packbits'):
        buffer = io.BytesIO()
        frames[0].save(buffer, 'tiff', compression=compression)
        yield buffer.getvalue()


def damaged(rng, data):
    """Flip, cut, repeat or insert at random places, most of them near the start."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        end = len(data) if rng.random() < 0.5 else min(len(data), 200)
        at = int(rng.integers(max(1, end)))
        kind = rng.integers(5)
        if kind == 0:
            data[at : at + 1] = rng.bytes(1)
        elif kind == 1:
            ends = [b'\xff' * 4, b'\0' * 4, b'\x7f\xff\xff\xff']
            data[at : at + 4] = rng.choice(ends)
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 64))]
        elif kind == 3:
            data[at:at] = data[at : at + int(rng.integers(1, 64))]
        else:
            del data[max(at, 20) :]
    return bytes(data)


def _outcome(data, least_side=0):
    """Why the bytes are no picture; None if they are one."""
    try:
        assert decode_image(data, least_side).mode == 'RGB'
    except BadImageError as error:
        return str(error)


def test_the_decoder_meets_any_bytes():
    """Seeded damage gives a picture or a reason, nothing else."""
    files, rng = list(_whole_files()), np.random.default_rng(0)
    decoded = 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for i in range(1000):
            data = damaged(rng, files[i % len(files)])
            reason = _outcome(data, int(rng.choice([0, 16])))
            assert reason is None or reason.partition(':')[0] in KNOWN, reason
            decoded += reason is None
    assert 0 < decoded < 1000


@settings(SEARCH, max_examples=200)
@given(
    data=st.binary(max_size=300), start=st.sampled_from([b'', b'\xff\xd8\xff', b'BM'])
)
def test_bytes_of_no_origin_are_bad_images(data, start):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert _outcome(start + data) != ''
