"""What a file is that no reader takes."""

_STARTS = {
    b'\xff\xd8': 'JPEG',
    b'\x89PNG': 'PNG',
    b'RIFF': 'WEBP',
    b'GIF8': 'GIF',
    b'BM': 'BMP',
    b'II*\0': 'TIFF',
    b'MM\0*': 'TIFF',
}
_PICTURES = {b'ftyphe': 'HEIC', b'ftypm': 'HEIC', b'<svg': 'SVG', b'%pdf': 'PDF'}


def what_instead(data: bytes) -> str:
    """Say why the bytes of a file are not read as an image.

    Args:
        data: The file, not empty.

    Returns:
        A kind that ``BadImageError`` names, with details if there are any.
    """
    for known, kind in _STARTS.items():
        if data.startswith(known):
            return f'damaged: header of a {kind}'
    start = data[:1000].lower()
    for known, kind in _PICTURES.items():
        if known in start:
            return f'unknown kind: {kind}'
    if b'<html' in start or b'<!doctype html' in start:
        return 'not an image: a web page'
    # What some file systems leave after a power failure.
    return 'not an image' if data.strip(b'\0') else 'not an image: only zeros'
