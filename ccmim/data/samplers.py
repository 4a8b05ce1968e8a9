"""Samplers that also give the visit of each sample, which seeds its transforms."""

import math
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from ccmim.data.randomness import SampleKey, visit_order
from ccmim.ranges import Index, in_ranges
from ccmim.registry import DATA_SAMPLERS

_CHUNK = 1 << 16


@DATA_SAMPLERS.register_module()
class VisitSampler(Sampler):
    """Pass the data set once an epoch; the keys depend on (seed, epoch) alone.

    Takes the place of mmengine's ``DefaultSampler``: ranks take turns, so one rank
    with batch ``2 n`` and two ranks with batch ``n`` see the same global batches.

    Args:
        dataset: The data set, of which only the length is used.
        shuffle: Whether each visit has an order of its own.
        seed: Seed of the run, the same on all ranks; drawn and shared when None.
        round_up: Whether the first samples of the order are repeated so that all
            ranks get the same number.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: Index | None = None,
        round_up: bool = True,
    ) -> None:
        self.dataset = dataset  # mmdet's batch samplers ask it for shapes
        self._size = _checked_size(dataset)
        self._rank, self._world_size = get_dist_info()
        self._shuffle = shuffle
        self._seed = sync_random_seed() if seed is None else seed
        self._round_up = round_up
        self._epoch = 0

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the keys of this rank for the current epoch."""
        order = _order(self._shuffle, self._seed, self._epoch, self._size)
        if self._round_up:
            order = np.resize(order, len(self) * self._world_size)
        mine = order[self._rank :: self._world_size]
        for start in range(0, len(mine), _CHUNK):  # numbers of Python are large
            for index in mine[start : start + _CHUNK].tolist():
                yield SampleKey(self._seed, self._epoch, index)

    def __len__(self) -> int:
        """Count the samples of this rank in one epoch."""
        spare = 0 if self._round_up else self._rank
        return math.ceil((self._size - spare) / self._world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the visit that the next iteration yields.

        Args:
            epoch: Number of the epoch, from 0.
        """
        self._epoch = epoch


@DATA_SAMPLERS.register_module()
class InfiniteVisitSampler(Sampler):
    """Pass the data set for ever, for iteration-based loops.

    Takes the place of mmengine's ``InfiniteSampler``. The passes follow each other
    without a seam and ranks take turns, so the stream of all ranks together does not
    depend on how many there are.

    Args:
        dataset: The data set, of which only the length is used.
        shuffle: Whether each pass has an order of its own.
        seed: Seed of the run, the same on all ranks; drawn and shared when None.
    """

    def __init__(
        self, dataset: Sized, shuffle: bool = True, seed: Index | None = None
    ) -> None:
        self.dataset = dataset
        self._size = _checked_size(dataset)
        self._rank, self._world_size = get_dist_info()
        self._shuffle = shuffle
        self._seed = sync_random_seed() if seed is None else seed
        self._start = 0

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the keys of this rank, from the position that ``skip`` set."""
        position = self._rank + self._start * self._world_size
        while True:
            visit, position = divmod(position, self._size)
            order = _order(self._shuffle, self._seed, visit, self._size)
            while position < self._size:
                yield SampleKey(self._seed, visit, int(order[position]))
                position += self._world_size
            position += visit * self._size

    def __len__(self) -> int:
        """Count the samples of one pass over all ranks, as ``InfiniteSampler``."""
        return self._size

    @in_ranges
    def skip(self, num_samples: Index) -> None:
        """Start the next iteration where a run left off; takes no time.

        Args:
            num_samples: Samples of this rank that were used, from the very start.

        Raises:
            ValueError: It is negative.
        """
        self._start = num_samples

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the stream has no epochs.

        Args:
            epoch: Ignored.
        """


def _order(shuffle: bool, seed: int, visit: int, size: int) -> np.ndarray:
    return visit_order(seed, visit, size) if shuffle else np.arange(size)


def _checked_size(dataset: Sized) -> int:
    if not len(dataset):
        raise ValueError('dataset is empty: there is nothing to sample')
    return len(dataset)
