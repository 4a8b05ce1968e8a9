"""A sampler of groups: images of one class follow each other."""

import math
from collections.abc import Iterator, Sequence, Sized
from typing import Annotated

import numpy as np
from annotated_types import Ge
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from ccmim.data import SampleKey
from ccmim.data.randomness import visit_order
from ccmim.ranges import Index
from ccmim.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class GroupSampler(Sampler):
    """Pass the data set once an epoch, in groups of images of one class.

    As ``VisitSampler``, the keys depend on (seed, epoch) alone; ranks take turns with
    whole groups. The last group of a class is filled with others of its images, so that
    all groups have the same size and no image appears twice in one.

    Args:
        dataset: A data set with ``labels``, such as ``LabeledImages``.
        group_size: Images of a class that follow each other, which must divide
            ``train_dataloader.batch_size``.
        seed: Seed of the run, the same on all ranks; drawn and shared when None.

    Raises:
        ValueError: If the data set has no labels, or a class has fewer images.
    """

    def __init__(
        self,
        dataset: Sized,
        group_size: Annotated[int, Ge(2)] = 4,
        seed: Index | None = None,
    ) -> None:
        labels = getattr(dataset, 'labels', None)
        if labels is None:
            raise ValueError(
                f'GroupSampler wants a data set with labels, and '
                f'{type(dataset).__name__} has none: use VisitSampler'
            )
        self._labels = np.asarray(labels)
        _check_counts(self._labels, group_size, dataset.metainfo['classes'])  # type: ignore[attr-defined]
        self.group_size = group_size
        self._rank, self._world_size = get_dist_info()
        self._seed = sync_random_seed() if seed is None else seed
        self._epoch = 0

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the keys of this rank for the current epoch."""
        groups = in_groups(self._labels, self.group_size, self._seed, self._epoch)
        count = len(self) // self.group_size * self._world_size
        groups = np.resize(groups, (count, self.group_size))  # the first ones again
        for group in groups[self._rank :: self._world_size].tolist():
            for index in group:
                yield SampleKey(self._seed, self._epoch, index)

    def __len__(self) -> int:
        """Count the samples of this rank in one epoch."""
        counts = np.unique(self._labels, return_counts=True)[1]
        groups = int(np.ceil(counts / self.group_size).sum())
        return math.ceil(groups / self._world_size) * self.group_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the visit that the next iteration yields.

        Args:
            epoch: Number of the epoch, from 0.
        """
        self._epoch = epoch


def in_groups(labels: np.ndarray, size: int, seed: int, visit: int) -> np.ndarray:
    """Draw groups of images of one class, all images in at least one.

    Args:
        labels: Class of each image, each of at least ``size`` images.
        size: Of a group.
        seed: Seed of the run.
        visit: Number of the pass.

    Returns:
        Numbers of the images, of shape (groups, size).
    """
    order = visit_order(seed, visit, len(labels))
    parts = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels[order] == label)  # where they stand in it
        full = math.ceil(len(members) / size) * size
        parts.append(np.resize(members, full).reshape(-1, size))
    groups = np.concatenate(parts)
    return order[groups[groups[:, 0].argsort()]]  # by who comes first


def _check_counts(labels: np.ndarray, size: int, classes: Sequence[str]) -> None:
    numbers, counts = np.unique(labels, return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if count < size:
            images = f'{count} image{"s" * (count > 1)}'
            smaller = f'set group_size={count} or less, ' if count > 1 else ''
            raise ValueError(
                f'class {classes[number]!r} has {images} to train on, and group_size='
                f'{size} wants as many: {smaller}leave the class out, or use '
                'VisitSampler, where images without a partner teach no extent'
            )
