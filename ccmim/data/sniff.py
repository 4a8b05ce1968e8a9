"""Identify files that no image reader supports."""

import struct

_STARTS = {
    b'\xff\xd8': 'JPEG',
    b'\x89PNG': 'PNG',
    b'RIFF': 'WEBP',
    b'GIF8': 'GIF',
    b'BM': 'BMP',
    b'II*\0': 'TIFF',
    b'MM\0*': 'TIFF',
}
_SHORT = 3  # type of a TIFF's value
_BITS, _BANDS, _FORMAT = 258, 277, 339  # tags of a TIFF
_PICTURES = {b'ftyphe': 'HEIC', b'ftypm': 'HEIC', b'<svg': 'SVG', b'%pdf': 'PDF'}


def what_instead(data: bytes) -> str:
    """Explain why the bytes of a file cannot be read as an image.

    Args:
        data: The file, not empty.

    Returns:
        A kind that ``BadImageError`` names, with details if there are any.
    """
    for known, kind in _STARTS.items():
        if data.startswith(known):
            if unread := _unread(data, kind):
                return f'unknown kind: {unread}'
            return f'damaged: header of a {kind}'
    start = data[:1000].lower()
    for known, kind in _PICTURES.items():
        if known in start:
            return f'unknown kind: {kind}'
    if b'<html' in start or b'<!doctype html' in start:
        return 'not an image: a web page'
    # What some file systems leave after a power failure.
    return 'not an image' if data.strip(b'\0') else 'not an image: only zeros'


def _unread(data: bytes, kind: str) -> str | None:
    """Describe an intact JPEG or TIFF of a kind that PIL does not read."""
    if kind == 'JPEG':
        bits = _bits_of_jpeg(data)
        return f'JPEG of {bits} bits: convert it to 8' if bits != 8 else None
    if kind != 'TIFF' or len(data) < 16:
        return None
    order = '<' if data.startswith(b'II') else '>'
    (start,) = struct.unpack_from(f'{order}I', data, 4)
    tags = {}
    try:
        (count,) = struct.unpack_from(f'{order}H', data, start)
        for i in range(count):
            position = start + 2 + 12 * i
            tag, width, length = struct.unpack_from(f'{order}HHI', data, position)
            if width == _SHORT:
                if length > 2:  # elsewhere
                    (at,) = struct.unpack_from(f'{order}I', data, position + 8)
                else:
                    at = position + 8
                (tags[tag],) = struct.unpack_from(f'{order}H', data, at)
    except struct.error:
        return None  # damaged
    bands, bits = tags.get(_BANDS, 1), tags.get(_BITS, 1)
    form = {2: 'signed ', 3: 'float '}.get(tags.get(_FORMAT, 1), '')
    return (
        f'TIFF of {bands} bands of {form}{bits} bits (read are 1, 3 or 4 bands of 8 or '
        '16 bits, and 1 of 32-bit floats): convert it'
    )


def _bits_of_jpeg(data: bytes) -> int:
    """The bits of a JPEG's frame; one segment may hold another JPEG, a thumbnail."""
    at = 2
    while at + 5 <= len(data) and data[at] == 0xFF:
        if 0xC0 <= data[at + 1] <= 0xC2:
            return data[at + 4]
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return 8
