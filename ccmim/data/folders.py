"""The image files below a folder, in an order that does not depend on the disk."""

import logging
import os
from collections import Counter

from mmengine.logging import print_log

from ccmim.data.paths import (
    LOOKED_FOR,
    PICTURES_NOT_READ,
    is_image_name,
    printable,
)


def walk_images(root: str) -> list[str]:
    """List the images below ``root``, sorted by the bytes of their names.

    Linked folders are followed; a folder that is reachable by several ways (a link
    loop, for one) is searched once. Hidden files and folders are left out, and so are
    pictures of kinds that are not read (HEIC, SVG), with a warning that counts them.

    Args:
        root: Folder to search.

    Returns:
        Paths that start with ``root``: the images of a folder, then those of its
        subfolders.

    Raises:
        ValueError: There is no image; the text says what is there instead.
    """
    paths: list[str] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, onerror=_left_out, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(
            (name for name in subfolders if not name.startswith('.')), key=os.fsencode
        )
        for name in sorted(names, key=os.fsencode):
            if is_image_name(name):
                paths.append(os.path.join(folder, name))
            else:
                others[os.path.splitext(name)[1].lower() or 'without suffix'] += 1
    if not paths:
        raise ValueError(f'No images in {printable(root)} ({_what_else(others)})')
    unread = [f'{others[kind]} {kind}' for kind in PICTURES_NOT_READ if others[kind]]
    if unread:
        _warn(f'Left out in {printable(root)}: {", ".join(unread)} ({LOOKED_FOR})')
    return paths


def _what_else(others: Counter[str]) -> str:
    found = ', '.join(f'{count} {kind}' for kind, count in others.most_common(3))
    shards = '; for tar shards give FOLDER/*.tar' if '.tar' in others else ''
    return f'{LOOKED_FOR}; found {found or "no files"}{shards}'


def _left_out(error: OSError) -> None:
    _warn(f'Folder left out: {printable(error.filename)} ({error.strerror})')


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
