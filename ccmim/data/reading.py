"""Record which image each loader worker is reading, in case it dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.data import get_worker_info

_MOST_WORKERS = 4096


class Reading:
    """A note of each loader worker in shared memory: its process, and an image."""

    def __init__(self) -> None:
        self._notes = torch.full((_MOST_WORKERS, 2), -1).share_memory_()

    @contextmanager
    def of(self, index: int) -> Iterator[None]:
        """Note that this worker is at an image, until it is done or dies.

        Args:
            index: Number of the image.
        """
        worker = get_worker_info()
        if worker is None:
            yield
            return
        note = self._notes.numpy()[worker.id]
        note[:] = os.getpid(), index
        try:
            yield
        finally:
            note[1] = -1

    def now(self) -> dict[int, int]:
        """Give the image that each worker is at, or was at when it died, by process."""
        return {pid: index for pid, index in self._notes.tolist() if index >= 0}
