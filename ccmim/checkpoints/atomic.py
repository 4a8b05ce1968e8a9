"""Make mmengine write files atomically."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.fileio import LocalBackend, register_backend
from mmengine.fileio.io import backend_instances

from ccmim.files import PART, WriteError, is_no_room, replacing, write_bytes, write_file

__all__ = [
    'PART',
    'AtomicLocalBackend',
    'WriteError',
    'is_no_room',
    'replacing',
    'write_atomically',
    'write_file',
]


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
        # mmengine writes the metrics of a test on every process, all to one file.
        write_bytes(filepath, obj, get_rank())

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
    if not hasattr(Config.dump, '__wrapped__'):
        Config.dump = _completing(Config.dump)


def _completing(dump: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(dump)
    def complete(cfg: Config, file: str | Path | None = None) -> Any:
        if file is None:
            return dump(cfg)
        with replacing(file) as part:
            return dump(cfg, part)

    return complete
