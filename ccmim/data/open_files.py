"""Files kept open between reads, separately in each process."""

from collections.abc import Sequence
from typing import IO

_MAX_OPEN = 128


class OpenFiles:
    """Archives that are read at random; those that were opened first are closed first.

    Args:
        paths: Their paths.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = list(paths)
        self._files: dict[int, IO[bytes]] = {}

    def __getstate__(self) -> dict:
        """Leave the open files behind: each process opens its own."""
        return {**self.__dict__, '_files': {}}

    def open(self, number: int) -> int:
        """Open file ``number``, unless it is; its descriptor.

        For ``os.pread``, which has no position: forked workers may share descriptors.
        """
        file = self._files.get(number)
        if file is None:
            if len(self._files) >= _MAX_OPEN:
                self._files.pop(next(iter(self._files)))
            file = open(self.paths[number], 'rb', buffering=0)  # noqa: SIM115
            self._files[number] = file
        return file.fileno()
