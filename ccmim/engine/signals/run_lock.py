"""One run at a time in a work dir."""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import TextIO

from mmengine.logging import print_log

LOCK = 'run.lock'
_BEAT = 30.0  # seconds from one sign of life to the next
_SILENCE = 600.0  # seconds without one after which a run of another host is dead


class RunLock:
    """A file of a work dir that names the process that uses it.

    The system lets go of it when the process dies, however that happens, and containers
    that share a host see each other. Not every file system tells other hosts, so there
    the time of the last sign of life counts as well.

    Args:
        folder: The work dir, which exists.
    """

    def __init__(self, folder: str | Path) -> None:
        self._path = Path(folder) / LOCK
        self._file: TextIO | None = None
        self._beaten = 0.0

    def take(self) -> None:
        """Take the lock, also that of a dead run.

        Raises:
            ValueError: If another run has it.
            OSError: If the folder cannot be written to.
        """
        file, sure = self._open()
        pid, host = _owner(file)
        if host:
            age = time.time() - os.fstat(file.fileno()).st_mtime
            here = host == socket.gethostname()
            dead = age > _SILENCE or (here and (sure or not _runs(pid)))
            if not dead:
                file.close()
                raise ValueError(
                    f'{self._path.parent} is used by pid {pid} on host {host}, alive '
                    f'{age:.0f} s ago. If that run is over, remove {self._path}; else '
                    'give another --work-dir'
                )
            print_log(
                f'Taking over {self._path.parent} from pid {pid} on host {host}, '
                'which is dead'
            )
        file.seek(0)
        file.truncate()
        file.write(f'{os.getpid()} {socket.gethostname()}\n')
        file.flush()
        self._file, self._beaten = file, time.monotonic()

    def beat(self) -> None:
        """Give a sign of life, unless the last one is recent."""
        if self._file and time.monotonic() - self._beaten > _BEAT:
            self._beaten = time.monotonic()
            os.utime(self._file.fileno())

    def release(self) -> None:
        """Let go of the lock, if it was taken."""
        if self._file:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _open(self) -> tuple[TextIO, bool]:
        """Open the file; tell whether the system keeps others from it."""
        while True:
            file = open(self._path, 'a+')  # noqa: SIM115 - held until the run ends
            try:
                # Of this process alone: loader workers that outlive it have no part.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_ino == os.stat(self._path).st_ino:
                    return file, True
            except (BlockingIOError, PermissionError):
                pid, host = _owner(file)
                file.close()
                raise ValueError(
                    f'{self._path.parent} is used by pid {pid} on host {host}: wait '
                    'for that run, stop it, or give another --work-dir'
                ) from None
            except FileNotFoundError:
                pass  # its owner has just removed it
            except OSError:  # a file system without locks
                return file, False
            file.close()


def _owner(file: TextIO) -> tuple[str, str]:
    file.seek(0)
    pid, _, host = file.read().strip().partition(' ')
    return pid, host


def _runs(pid: str) -> bool:
    return Path(f'/proc/{pid}').exists()
