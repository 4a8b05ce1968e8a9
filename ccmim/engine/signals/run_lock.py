"""A lock that allows one run at a time in a work dir."""

import fcntl
import os
import socket
from pathlib import Path
from typing import TextIO

from ccmim.data.paths import RUN_FILES
from ccmim.files import open_own

LOCK = RUN_FILES[0]


class RunLock:
    """A file of a work dir, locked by the process that uses it.

    The system releases it when the process dies, however that happens. On a file system
    without locks nobody is kept out.

    Args:
        folder: The work dir, which exists.
    """

    def __init__(self, folder: str | Path) -> None:
        self._path = Path(folder) / LOCK
        self._file: TextIO | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            ValueError: If another run has it, or it is a link.
            OSError: If the folder cannot be written to.
        """
        # Held until the run ends.
        file = open(self._path, 'a+', opener=open_own)  # noqa: SIM115
        try:
            # Of this process alone: loader workers that outlive it have no part.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            owner = file.read().strip() or 'another process'
            file.close()
            raise ValueError(
                f'{self._path.parent} is used by {owner}: wait for that run, stop it, '
                'or give another --work-dir'
            ) from None
        except OSError:  # a file system without locks
            pass
        file.truncate(0)
        file.write(f'pid {os.getpid()} on host {socket.gethostname()}\n')
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go of the lock, if it was taken."""
        if self._file:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
