"""Atomic writing of files.

Light to import: whatever writes a file may import it.
"""

import errno
import os
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

PART = '.part'  # the ending of a file that is being written
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class WriteError(OSError):
    """A file could not be written; what was there before is intact."""


def one_line(text: str) -> str:
    """Show what may come from a file: control characters escaped, line breaks too."""
    shown = (
        c if c.isprintable() else c.encode('unicode_escape').decode() for c in text
    )
    return ''.join(shown)


def say(*lines: object, file: TextIO | None = None) -> None:
    """Print lines that name what may come from a file, escaped by ``one_line``."""
    print(*(one_line(str(line)) for line in lines), sep='\n', file=file, flush=True)


class Parser(ArgumentParser):
    """A parser whose errors show in one line what was given, such as names of files."""

    def error(self, message: str) -> NoReturn:
        """End with the usage and the message."""
        super().error(one_line(message))


def is_no_room(error: BaseException) -> bool:
    """Return whether an error means a full or read-only disk."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def refuse_link(path: str | Path) -> None:
    """Refuse a link in the place of what is written or emptied where it is.

    Raises:
        ValueError: If it is one: what it leads to may be anybody's.
    """
    if os.path.islink(path):
        raise ValueError(
            f'{path} is a link, and what it leads to would be changed: remove the link'
        )


def open_own(path: str, flags: int) -> int:
    """Open a file that is no link: the ``opener`` for what is written in place.

    Raises:
        ValueError: If it is a link.
    """
    refuse_link(path)
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def remove(path: Path) -> None:
    """Remove a file, a folder, or a link without what it leads to, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def drop_unwritable(stream: TextIO) -> None:
    """Drop what a stream holds and cannot write: Python ends with code 120 for that."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Let a file be written that takes the place of another one when it is complete.

    Args:
        path: Where it goes; folders are made as needed.

    Yields:
        A path beside it, of the same ending, to write to.

    Raises:
        WriteError: If that is impossible: the disk is full, or read-only.
    """
    path = Path(path)
    with _completed(path, path.with_name(f'{PART}.{path.name}')) as part:
        yield part


def write_file(path: str | Path, content: bytes | str) -> None:
    """Write a file that is either complete or not there at all.

    Args:
        path: Where; folders are made as needed.
        content: What to write; texts become UTF-8.

    Raises:
        WriteError: If that is impossible: the disk is full, or read-only.
    """
    if isinstance(content, str):
        content = content.encode('utf-8', 'replace')
    rank = os.environ.get('RANK', '')
    write_bytes(path, content, int(rank) if rank.isdecimal() else 0)


def write_bytes(path: str | Path, content: bytes, rank: int = 0) -> None:
    """Write bytes to a neighboring file first, then take the place of the old one.

    Args:
        path: Where; folders are made as needed.
        content: What to write.
        rank: Which process of a launch writes, as several may write one file.

    Raises:
        WriteError: If that is impossible: the disk is full, or read-only.
    """
    path = Path(path)
    part = path.with_name(f'.{path.name}{f".{rank}" if rank else ""}{PART}')
    with _completed(path, part, len(content)):
        part.write_bytes(content)


@contextmanager
def _completed(path: Path, part: Path, size: int | None = None) -> Iterator[Path]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(part)  # else written through, if it is a link
        yield part
        with open(part, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except BaseException as error:
        if size is None:
            size = part.stat().st_size if part.exists() else 0
        with suppress(OSError):  # a read-only disk refuses that as well
            part.unlink()
        if isinstance(error, OSError):
            raise WriteError(_explain(path, size, error)) from None
        raise


def sync_folder(folder: Path) -> None:
    """Make a renaming in a folder last: a power failure could undo it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(path: Path, size: int, error: OSError) -> str:
    text = f'cannot write {path}: {error.strerror or error}'
    if path.parent.is_dir():
        free = shutil.disk_usage(path.parent).free
        text += f' ({size / 1e6:.1f} MB needed, {free / 1e6:.1f} MB free)'
    return f'{text}; the files written before it are intact'
