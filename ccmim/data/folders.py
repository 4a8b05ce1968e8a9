"""Image files below a folder, in an order independent of the file system."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence

from ccmim.data.paths import (
    LOOKED_FOR,
    PICTURES_NOT_READ,
    RUN_FILES,
    RUN_PICTURES,
    SESSION,
    WORK_DIRS,
    is_image_name,
    log_message,
    printable,
)


def walk_images(root: str) -> list[str]:
    """List the images below ``root``, sorted by the bytes of their names.

    What ``walk_data`` leaves out is left out, and so are pictures of kinds that are
    not read (HEIC, SVG), with a warning that counts them.

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
    for folder, names in walk_data(root):
        for name in names:
            if is_image_name(name):
                paths.append(os.path.join(folder, name))
            else:
                others[os.path.splitext(name)[1].lower() or 'without suffix'] += 1
    if not paths:
        raise ValueError(f'No images in {printable(root)} ({_what_else(others)})')
    unread = [f'{others[kind]} {kind}' for kind in PICTURES_NOT_READ if others[kind]]
    if unread:
        log_message(
            f'Left out in {printable(root)}: {", ".join(unread)} ({LOOKED_FOR})'
        )
    return paths


def walk_data(root: str) -> Iterator[tuple[str, list[str]]]:
    """Walk through the folders that may hold data.

    Linked folders are followed; a folder that is reachable by several ways (a link
    loop, for one) is visited once. Hidden folders are left out, and what runs write:
    folders called ``work_dirs``, and those of runs. If a run writes to ``root`` itself,
    its pictures are left out.

    Args:
        root: Where to begin.

    Yields:
        Each folder, and the names of the files in it; all sorted by their bytes.
    """
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(root, onerror=_left_out, followlinks=True):
        status = os.stat(folder)
        of_a_run = _holds_a_run(folder, subfolders, names)
        if (status.st_dev, status.st_ino) in seen or (of_a_run and folder != root):
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        kept = [n for n in subfolders if n[0] != '.' and n != WORK_DIRS]
        kept = [n for n in kept if not (of_a_run and _own(n))]
        subfolders[:] = sorted(kept, key=os.fsencode)
        yield folder, sorted(names, key=os.fsencode)


def data_folders(root: str | os.PathLike) -> list[str]:
    """Name the folders directly in one that may hold data, as ``walk_data`` does."""
    with os.scandir(root) as entries:
        names = [e.name for e in entries if e.is_dir() and e.name[0] != '.']
    return [
        name
        for name in sorted(names, key=os.fsencode)
        if name != WORK_DIRS and not _holds_a_run(*_first(os.path.join(root, name)))
    ]


def _first(folder: str) -> tuple[str, list[str], list[str]]:
    return next(os.walk(folder), (folder, [], []))  # nothing where it is closed to us


def _own(name: str) -> bool:
    return name == RUN_PICTURES or bool(SESSION.fullmatch(name))


def _holds_a_run(folder: str, folders: Sequence[str], files: Sequence[str]) -> bool:
    """Whether a run writes to a folder, by the folders and files in it."""
    return any(name in RUN_FILES for name in files) or any(
        SESSION.fullmatch(name) and os.path.isdir(f'{folder}/{name}/vis_data')
        for name in folders
    )


def _what_else(others: Counter[str]) -> str:
    counted = ', '.join(f'{count} {kind}' for kind, count in others.most_common(3))
    shards = '; for tar shards give FOLDER/*.tar' if '.tar' in others else ''
    return f'{LOOKED_FOR}; found {counted or "no files"}{shards}'


def _left_out(error: OSError) -> None:
    log_message(f'Folder left out: {printable(error.filename)} ({error.strerror})')
