"""Files that claim more pixels than the memory holds are refused by their header."""

import io
import os
import re
import resource
import struct
import zlib

import pytest
from PIL import Image

from ccmim.data.image import BadImageError, decode_image

pytestmark = pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')


def _encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _chunk(name, data):
    crc = struct.pack('>I', zlib.crc32(name + data))
    return struct.pack('>I', len(data)) + name + data + crc


def _bomb(width, height):
    """A PNG of a few bytes that claims a size."""
    header = struct.pack('>II', width, height) + bytes([1, 0, 0, 0, 0])
    data = _encode(Image.new('1', (8, 8)), 'png')
    return data[:8] + _chunk(b'IHDR', header) + data[33:]


def test_a_decompression_bomb_is_refused(monkeypatch):
    text = r'^refused: 400 MP picture \(limit 179\)$'
    with pytest.raises(BadImageError, match=text):
        decode_image(_bomb(20_000, 20_000))
    # Whoever takes PIL's own limit away does not take ours.
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    with pytest.raises(BadImageError, match=text):
        decode_image(_bomb(20_000, 20_000))
    with pytest.raises(BadImageError, match='179 MP'):
        decode_image(_bomb(13_378, 13_377))
    with pytest.raises(BadImageError, match='cut short'):
        decode_image(_bomb(13_377, 13_377))


def _bombs():
    """Files of a few kB that claim billions of pixels; the PNG really has its 400 M."""
    small = Image.new('L', (64, 64))
    rows = zlib.compressobj()
    pixels = b''.join(rows.compress(bytes(2501)) for _ in range(20_000)) + rows.flush()
    header = struct.pack('>II', 20_000, 20_000) + bytes([1, 0, 0, 0, 0])
    chunks = (b'IHDR', header), (b'IDAT', pixels), (b'IEND', b'')
    yield b'\x89PNG\r\n\x1a\n' + b''.join(_chunk(*chunk) for chunk in chunks)
    places = {
        'gif': (lambda data: 6, struct.pack('<HH', 65_000, 65_000)),
        'bmp': (lambda data: 18, struct.pack('<ii', 65_000, 65_000)),
        'jpeg': (lambda data: data.index(b'\xff\xc0') + 5, b'\xfd\xe8\xfd\xe8'),
        'webp': (lambda data: data.index(b'VP8L') + 9, b'\xff\xff\xff\x0f'),
        'tiff': (lambda data: data.index(b'\0\1\4\0\1\0\0\0') + 8, b'\xe8\xfd\0\0'),
    }
    for kind, (find, claim) in places.items():
        data = bytearray(_encode(small, kind, lossless=True))
        place = find(data)
        data[place : place + len(claim)] = claim
        if kind == 'tiff':  # the height stands in the next entry
            data[place + 12 : place + 16] = claim
        yield bytes(data)


def test_a_bomb_of_any_kind_needs_little_memory(tmp_path):
    """Measured in a process of its own, which begins with the memory of this one."""
    bombs = list(_bombs())
    assert sum(map(len, bombs)) < 100_000
    child = os.fork()
    if not child:
        lines = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]
        for data in bombs:
            try:
                decode_image(data)
            except BadImageError as error:
                lines.append(error)
        lines.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        (tmp_path / 'out').write_text('\n'.join(map(str, lines)))
        os._exit(0)
    os.waitpid(child, 0)
    before, *refused, peak = (tmp_path / 'out').read_text().splitlines()
    text = r'refused: (400|4,225|268) MP picture \(limit 179\)'
    assert len(refused) == 6
    assert all(re.fullmatch(text, line) for line in refused), refused
    assert int(peak) - int(before) < 100_000  # kB
