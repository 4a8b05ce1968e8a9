"""Files that are either complete or not there at all."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.fileio import LocalBackend, register_backend
from mmengine.fileio.io import backend_instances

PART = '.part'  # the ending of a file that is being written


class WriteError(OSError):
    """A file could not be written; what was there before is intact."""


class AtomicLocalBackend(LocalBackend):
    """Write to a neighboring file first, then take the place of the old one.

    A process that dies while it writes, and a disk that is full, leave the old file as
    it was.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Args:
            obj: What to write.
            filepath: Where; folders are made as needed.

        Raises:
            WriteError: If that is impossible: the disk is full, or read-only.
        """
        path = Path(filepath)
        part = part_name(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(part, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            _sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):  # a read-only disk refuses that as well
                part.unlink()
            raise WriteError(_explain(path, len(obj), error)) from None

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text.

        Args:
            obj: What to write.
            filepath: Where; folders are made as needed.
            encoding: How characters become bytes.

        Raises:
            WriteError: If that is impossible: the disk is full, or read-only.
        """
        self.put(obj.encode(encoding), filepath)


def write_atomically() -> None:
    """Make mmengine write all local files, checkpoints too, in this way."""
    register_backend('local', AtomicLocalBackend, force=True, prefixes='')
    backend_instances.clear()  # those that were in use already


def part_name(path: Path) -> Path:
    """Name the file that is written before it takes the place of ``path``.

    mmengine writes the metrics of a test on every process, all to one file.
    """
    rank = f'.{get_rank()}' if get_rank() else ''
    return path.with_name(f'.{path.name}{rank}{PART}')


def _sync_folder(folder: Path) -> None:
    # Without it a power failure could undo the renaming.
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
