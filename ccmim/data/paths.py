"""Paths of images: extensions, display, compact storage."""

import logging
import os
import re
import stat
import zlib
from collections.abc import Iterable

import numpy as np

IMAGE_SUFFIXES = (
    '.jpg', '.jpeg', '.jfif', '.png', '.webp', '.gif', '.bmp', '.tif', '.tiff',
)  # fmt: skip
PICTURES_NOT_READ = ('.heic', '.heif', '.avif', '.jp2', '.svg', '.psd', '.dng')
COMPRESSED = ('.gz', '.tgz', '.bz2', '.tbz2', '.xz', '.txz', '.zst', '.7z')
ARCHIVES = ('.tar', '.zip', *COMPRESSED)
WORK_DIRS = 'work_dirs'  # where runs write, unless configured otherwise
RUN_FILES = ('run.lock', 'last_checkpoint')  # of a run in its folder
RUN_PICTURES = 'pictures'
RUN_DEBUG = 'debug'  # steps with numbers out of range
_CHUNK = 1 << 26  # bytes that are looked at together
SESSION = re.compile(r'\d{8}_\d{6}')  # a folder for each start of a run
LOOKED_FOR = 'looked for ' + ', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES)


def is_image_name(name: str) -> bool:
    """Return whether a file name is that of an image: known suffix, not hidden.

    Args:
        name: File name without folders.

    Returns:
        Whether it counts.
    """
    return not name.startswith('.') and name.lower().endswith(IMAGE_SUFFIXES)


def log_message(text: str, level: int = logging.WARNING) -> None:
    """Write to the log of the run, or to the terminal where there is none.

    Args:
        text: The message.
        level: Of the logging library.
    """
    from mmengine.logging import print_log  # it takes a second to import

    print_log(text, logger='current', level=level)


def printable(path: str) -> str:
    """Make a path fit for a message.

    Args:
        path: A path as the file system gives it.

    Returns:
        One line of valid UTF-8, odd bytes as escapes and a backslash as two: no two
        paths look alike.
    """
    if path.isascii() and path.isprintable() and '\\' not in path:
        return path  # nearly all are
    text = os.fsencode(path.replace('\\', '\\\\')).decode('utf-8', 'backslashreplace')
    return ''.join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    # \x80 to \xff stand for bytes that are no UTF-8.
    return f'\\u{ord(char):04x}' if '\x7f' < char < '\u0100' else ascii(char)[1:-1]


class PathTable:
    """Many paths in one bytes object and one array.

    A list of a million strings is copied page by page into every forked worker, as
    reference counts change; this is not, and it pickles in one piece.

    Args:
        paths: The paths.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        encoded = [os.fsencode(path) for path in paths]
        # Each ends with a line break, which is in none of the paths' bounds.
        self._ends = np.cumsum([len(path) + 1 for path in encoded], dtype=np.int64)
        self._bytes = b'\n'.join(encoded)

    @classmethod
    def of_lines(cls, text: bytes) -> 'PathTable':
        """Make a table of one path a line, without a string for each.

        Args:
            text: At least one line; without a line break at the end.
        """
        table = cls(())
        codes = np.frombuffer(text, np.uint8)
        breaks = [
            np.flatnonzero(codes[start : start + _CHUNK] == ord('\n')) + start
            for start in range(0, len(codes), _CHUNK)
        ]
        table._ends = np.concatenate([*breaks, [len(text)]]) + 1
        table._bytes = text
        return table

    def __len__(self) -> int:
        """Count the paths."""
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        """Return path ``index``; IndexError outside ``0 <= index < len``."""
        if not 0 <= index < len(self):
            raise IndexError(f'image {index} of {len(self)}')
        start = self._ends[index - 1] if index else 0
        return os.fsdecode(self._bytes[start : self._ends[index] - 1])

    def encoded(self) -> list[bytes]:
        """List all paths as bytes, a hundred times as fast as one after the other."""
        ends = self._ends.tolist()
        starts = [0, *ends[:-1]]
        return [self._bytes[i : j - 1] for i, j in zip(starts, ends, strict=True)]

    def joined(self) -> bytes:
        """Return all paths, one a line."""
        return self._bytes


def checksum_of_file(path: str) -> int:
    """Return a number of a file, made of its size and what is in its middle.

    Args:
        path: The file.

    Returns:
        32 bits; 0 for what cannot be read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return 0
        with open(path, 'rb', buffering=0) as file:
            return checksum_of_part(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    except OSError:
        return 0


def checksum_of_part(descriptor: int, start: int, size: int) -> int:
    """Hash a part of an open file: its size and a page from its middle."""
    middle = os.pread(descriptor, 4096, start + max(0, size // 2 - 2048))
    return zlib.crc32(middle[:size], size & 0xFFFFFFFF)
