import io
import struct
import warnings
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ccmim.data.image import BadImageError, decode_image, to_rgb


def _encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _decode(image, kind='png', **options):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        decoded = decode_image(_encode(image, kind, **options))
    assert decoded.mode == 'RGB'
    return np.asarray(decoded)


@pytest.fixture
def rgb():
    ramp = np.linspace(0, 255, 24, dtype=np.uint8)
    channels = np.broadcast_arrays(ramp[:, None], ramp[None, ::-1], np.uint8(90))
    return np.stack(channels, -1)


@pytest.mark.parametrize('kind', ['jpeg', 'webp'])
def test_lossy_kinds_come_out_close(rgb, kind):
    decoded = _decode(Image.fromarray(rgb), kind, quality=95).astype(int)
    assert abs(decoded - rgb).mean() < 4


@pytest.mark.parametrize('transparency', [None, 0, bytes([0, 128, 255])])
def test_palette_colors_are_looked_up(transparency):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), 'L').convert('P')
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    options = {} if transparency is None else dict(transparency=transparency)
    decoded = _decode(image, **options)
    assert decoded.tolist() == [[[255, 0, 0], [0, 255, 0], [10, 20, 30]]]


def test_big_endian_16_bit_tiff_is_read_in_its_byte_order():
    header = b'MM' + struct.pack('>HI', 42, 8)
    tags = [(256, 2), (257, 1), (258, 16), (259, 1), (262, 1), (273, 200)]
    tags += [(277, 1), (278, 1), (279, 4)]
    entries = b''.join(struct.pack('>HHIHH', t, 3, 1, value, 0) for t, value in tags)
    ifd = struct.pack('>H', len(tags)) + entries + struct.pack('>I', 0)
    data = (header + ifd).ljust(200, b'\0') + struct.pack('>HH', 0x0101, 0xFFFF)
    assert np.asarray(decode_image(data))[0, :, 0].tolist() == [1, 255]


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[-100, 100]], np.int32), [0, 255]),
        (np.array([[0, 1 << 30]], np.int32), [0, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 20.0, 200.0]], np.float32), [0, 20, 200]),
        (np.array([[0.0, 2570.0]], np.float32), [0, 10]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 1.0, np.inf]], np.float32), [0, 255, 0]),
        (np.array([[-7.0, -7.0]], np.float32), [0, 0]),
    ],
)
def test_32_bit_grey_is_scaled_by_its_range(values, expected):
    decoded = _decode(Image.fromarray(values), 'tiff')
    assert decoded[0, :, 0].tolist() == expected


def _tiff(bits, bands, form=1):
    """A sound TIFF of two by two pixels, by hand: PIL writes no such ones."""
    size = (4 * bands * bits + 7) // 8
    short = [(256, 2), (257, 2), (259, 1), (262, 1), (273, 300), (277, bands)]
    short += [(278, 2), (279, size), (339, form)]
    entries = {tag: struct.pack('<HHIHH', tag, 3, 1, value, 0) for tag, value in short}
    at = bits if bands < 3 else 200
    entries[258] = struct.pack('<HHII', 258, 3, bands, at)
    head = b'II*\0' + struct.pack('<IH', 8, len(entries))
    body = head + b''.join(entries[tag] for tag in sorted(entries)) + bytes(4)
    body = body.ljust(200, b'\0') + struct.pack('<H', bits) * bands
    return body.ljust(300, b'\0') + bytes(size)


@pytest.mark.parametrize(
    ('data', 'kind'),
    [
        (_tiff(8, 5), 'TIFF of 5 bands of 8 bits'),
        (_tiff(64, 1, 3), 'TIFF of 1 bands of float 64 bits'),
        (b'\xff\xd8\xff\xc1\0\x0b\x0c' + bytes(20), 'JPEG of 12 bits'),
        (
            # A thumbnail of 8 bits in a segment before the frame.
            b'\xff\xd8\xff\xe1\0\x09\xff\xd8\xff\xc0\0\x0b\x08\xff\xc1\0\x0b\x0c'
            + bytes(9),
            'JPEG of 12 bits',
        ),
    ],
)
def test_sound_files_that_are_not_read_are_not_called_damaged(data, kind):
    with pytest.raises(BadImageError, match=f'^unknown kind: {kind}'):
        decode_image(data)


@pytest.mark.parametrize('values', [[np.nan] * 2, [np.nan, np.inf], [np.inf, -np.inf]])
def test_nothing_but_nan_is_no_black_picture(values):
    with pytest.raises(BadImageError, match='all values are NaN or infinite'):
        _decode(Image.fromarray(np.array([values], np.float32)), 'tiff')


def test_a_full_memory_is_no_fault_of_a_picture(rgb, monkeypatch):
    monkeypatch.setattr('ccmim.data.image.to_rgb', Mock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        _decode(Image.fromarray(rgb), 'png')


def test_a_long_text_in_a_png_does_no_harm(rgb):
    note = PngImagePlugin.PngInfo()
    note.add_itxt('recipe', 'x' * 3_000_000, zip=True)
    decoded = _decode(Image.fromarray(rgb), 'png', pnginfo=note)
    assert np.array_equal(decoded, rgb)


def test_a_damaged_exif_block_does_not_cost_the_picture(rgb):
    data = _encode(Image.fromarray(rgb), 'jpeg')
    block = b'Exif\0\0II*\0\xff\xff\xff\x7f' + b'\xee' * 20
    data = data[:2] + b'\xff\xe1' + struct.pack('>H', len(block) + 2) + block + data[2:]
    assert decode_image(data).size == (24, 24)


@pytest.mark.parametrize('kind', ['gif', 'webp', 'tiff', 'png'])
def test_an_animation_gives_its_first_frame(kind):
    frames = [Image.new('RGB', (8, 8), color) for color in ('red', 'blue')]
    options = dict(lossless=True) if kind == 'webp' else {}
    both = dict(save_all=True, append_images=frames[1:])
    decoded = _decode(frames[0], kind, **both, **options)
    assert np.unique(decoded.reshape(-1, 3), axis=0).tolist() == [[255, 0, 0]]


@pytest.mark.parametrize('least_side', [0, 64])
@pytest.mark.parametrize('kind', ['png', 'jpeg'])
@pytest.mark.parametrize('size', [(1, 1), (3, 20_000), (30_000, 40)])
def test_odd_sizes_are_no_problem(size, kind, least_side):
    data = _encode(Image.new('RGB', size, (200, 10, 10)), kind)
    image = decode_image(data, least_side)
    assert image.size == size
    assert image.getpixel((0, size[1] - 1)) == pytest.approx((200, 10, 10), abs=2)


def test_two_pictures_in_one_jpeg_give_the_first():
    """Some phones and stereo cameras write them (MPO)."""
    frames = [Image.new('RGB', (8, 8), color) for color in ('red', 'blue')]
    data = _encode(frames[0], 'mpo', save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).format == 'MPO'
    assert decode_image(data).getpixel((3, 3)) == pytest.approx((255, 0, 0), abs=2)


@pytest.mark.parametrize('keep', [0.3, 0.9])
@pytest.mark.parametrize('kind', ['jpeg', 'png', 'bmp', 'webp', 'tiff'])
def test_a_truncated_file_is_bad(rgb, kind, keep):
    data = _encode(Image.fromarray(np.tile(rgb, (4, 4, 1))), kind)
    reason = 'damaged|cut short' if kind in ('webp', 'tiff') else 'cut short'
    with pytest.raises(BadImageError, match=reason):
        decode_image(data[: int(len(data) * keep)])


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'', '^empty$'),
        (b'no', '^not an image$'),
        (b'<html>404</html>', '^not an image: a web page$'),
        (b'\n<!DOCTYPE HTML><html>', '^not an image: a web page$'),
        (b'\0' * 5000, '^not an image: only zeros$'),
        (b'<?xml?><svg xmlns="http://www.w3.org/2000/svg"/>', '^unknown kind: SVG$'),
        (b'\0\0\0\x18ftypheic' + b'\0' * 50, '^unknown kind: HEIC$'),
        (b'%PDF-1.7 ...', '^unknown kind: PDF$'),
        (b'\xff\xd8\xff\xe0', '^damaged: header of a JPEG$'),
    ],
)
def test_what_is_no_image_is_bad_with_a_reason(data, reason):
    with pytest.raises(BadImageError, match=reason):
        decode_image(data)


def test_no_reader_starts_a_program_or_takes_anything():
    """EPS would be given to Ghostscript, and TGA has no mark to know it by."""
    for kind in ('eps', 'tga'):
        with pytest.raises(BadImageError, match='not an image'):
            decode_image(_encode(Image.new('RGB', (8, 8)), kind))


def test_16_bit_pictures_are_scaled_in_blocks(monkeypatch):
    """Rows of 2**20 pixels and more are scaled one by one, and nothing is lost."""
    values = np.repeat(np.arange(3, dtype=np.uint16) * 20_000, 2**20).reshape(3, -1)
    decoded = np.asarray(decode_image(_encode(Image.fromarray(values), 'png')))
    assert decoded[:, -1, 0].tolist() == [0, 78, 156]


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP'])
def test_what_was_turned_is_not_turned_again(kind):
    """As by extract_features, of what the caller has decoded."""
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode_image(_encode(Image.new('RGB', (48, 40)), kind, exif=exif))
    assert decoded.size == (40, 48)
    assert to_rgb(decoded) is decoded
