"""The list of images that could not be used, with reasons."""

import fcntl
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ccmim.data.image import BadImageError
from ccmim.data.paths import printable
from ccmim.files import open_own, write_file
from ccmim.ranges import Ratio, in_ranges

BAD_FILES = 'bad_files.txt'
_ALWAYS_ALLOWED = 3


class BadFiles:
    """A list on disk that many processes add to, each image once.

    One line an image: its name, a tab, the reason; valid UTF-8. Who adds locks the
    file and looks at what others have added since, so nothing is lost or doubled
    between loader workers, ranks and hosts. A file system without locks may list an
    image twice, which readers ignore.

    Args:
        path: The list. What stands there already is kept.

    Raises:
        ValueError: If it is a link.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.reasons: dict[str, str] = {}
        self._seen = 0
        if self.path.exists():
            with open(self.path, 'rb', opener=open_own) as file:
                self._catch_up(file.read())
        self._before = len(self.reasons)

    @property
    def num_new(self) -> int:
        """Count what was added since this object was made, by all processes."""
        return len(self.reasons) - self._before

    def add(self, name: str, reason: str) -> bool:
        """List an image, if it is not listed.

        Args:
            name: Its printable name.
            reason: Why it cannot be used.

        Returns:
            Whether it was not there before.

        Raises:
            OSError: The list cannot be written; it is as it was.
        """
        with open(self.path, 'ab+', buffering=0, opener=open_own) as file:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(self._seen)
            self._catch_up(file.read())
            if name in self.reasons:
                return False
            line = _line(name, reason)
            if file.write(line) < len(line):
                file.truncate(self._seen)
                raise OSError('the disk is full')
            self._catch_up(line)
        return True

    def _catch_up(self, added: bytes) -> None:
        added = added[: added.rfind(b'\n') + 1]  # the rest is still being written
        self._seen += len(added)
        for name, reason in _parse(added):
            self.reasons.setdefault(name, reason)


def read_bad_files(path: str | os.PathLike) -> dict[str, str]:
    """Read a list of bad images.

    Args:
        path: The list.

    Returns:
        The reason of each name.

    Raises:
        ValueError: It is no such list.
        OSError: It cannot be read.
    """
    data = Path(path).read_bytes()
    if any(b'\t' not in line for line in data.splitlines()):
        raise ValueError(
            f'{printable(os.fspath(path))} is no list of bad images: each line must '
            'have a name, a tab and a reason, as tools/check_images.py writes it'
        )
    return dict(_parse(data))


def write_bad_files(path: str | os.PathLike, reasons: Mapping[str, str]) -> None:
    """Write a list of bad images in one piece, in place of what is there.

    Args:
        path: The list.
        reasons: The reason of each printable name.

    Raises:
        OSError: It cannot be written.
    """
    write_file(path, b''.join(_line(*item) for item in reasons.items()))


def reason_of(error: Exception) -> str:
    """Describe why an image cannot be used, starting with one of a few kinds.

    Args:
        error: What reading or decoding it raised.

    Returns:
        One line.
    """
    if isinstance(error, BadImageError):
        return printable(str(error))
    if isinstance(error, FileNotFoundError):
        dangling = error.filename is not None and os.path.islink(error.filename)
        return 'missing: a link to nothing' if dangling else 'missing'
    reason = error.strerror if isinstance(error, OSError) else None
    return printable(f'not readable: {reason or error}')


def by_kind(reasons: Iterable[str]) -> str:
    """Count reasons by their kind, the most frequent first.

    Args:
        reasons: Reasons, one of each image.

    Returns:
        Such as ``2 cut short, 1 empty``.
    """
    counts = Counter(reason.partition(':')[0] for reason in reasons)
    return ', '.join(f'{count:,} {kind}' for kind, count in counts.most_common())


def _line(name: str, reason: str) -> bytes:
    return f'{name}\t{reason}\n'.encode()


def _parse(data: bytes) -> Iterable[tuple[str, str]]:
    lines = data.decode('utf-8', 'replace').split('\n')
    pairs = (line.partition('\t') for line in lines)
    return ((name, reason) for name, tab, reason in pairs if tab)


@in_ranges
def most_bad(total: int, max_bad_ratio: Ratio) -> int:
    """Count how many of some images may be damaged, as long as a good one is left.

    Raises:
        ValueError: The fraction is out of range.
    """
    return min(max(_ALWAYS_ALLOWED, int(max_bad_ratio * total)), max(0, total - 1))
