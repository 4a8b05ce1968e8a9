"""Random numbers as a function of seed, epoch and image.

What is drawn for one sample depends on its key alone: not on the worker that draws,
on how many workers there are, or on what was drawn before. So a resumed run repeats
nothing and loses nothing, and no generator state needs saving.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import get_worker_info

# What a hash is for; without it, two uses of one key would share their numbers.
_AUGMENT, _ORDER, _REPLACE = range(3)


class SampleKey(NamedTuple):
    """One use of one sample.

    Attributes:
        seed: Seed of the run.
        visit: How many times the data set was passed before: the epoch.
        index: Number of the sample in its data set.
    """

    seed: int
    visit: int
    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody needs


@contextmanager
def seeded(key: SampleKey) -> Iterator[None]:
    """Make the global CPU generators of Python, numpy and torch a function of a key.

    On exit the generators are as they were. A loader worker uses them for nothing
    else, so there they are only seeded: 30 us a sample. In the main process
    (``num_workers=0``) saving and restoring makes that 200 us, nearly all of it for
    numpy's legacy generator. Both were measured on a busy 2-core machine.

    Args:
        key: What the numbers are for.
    """
    state = None if get_worker_info() else _get_states()
    words = np.random.SeedSequence((*key, _AUGMENT)).generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])
    # torch.manual_seed would seed every accelerator as well.
    torch.default_generator.manual_seed(words[2])
    try:
        yield
    finally:
        if state is not None:
            _set_states(*state)


def generator_of(key: SampleKey) -> np.random.Generator:
    """Return a generator for a sample's draws outside of the global generators."""
    return _generator(*key, _AUGMENT)


def visit_order(seed: int, visit: int, size: int) -> np.ndarray:
    """Draw the order in which a visit passes the data set.

    Args:
        seed: Seed of the run, not negative.
        visit: Number of the pass.
        size: Number of samples.

    Returns:
        A permutation of ``0 .. size - 1``, shape (size,).
    """
    return _generator(seed, visit, 0, _ORDER).permutation(size)


def replacements(key: SampleKey, size: int) -> Iterator[int]:
    """Draw samples that may stand in for a damaged one, without end.

    Args:
        key: The use of the damaged sample.
        size: Number of samples.

    Yields:
        Sample numbers from 0 to ``size - 1``.
    """
    generator = _generator(*key, _REPLACE)
    while True:
        yield int(generator.integers(size))


def _generator(*words: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(words))


def _get_states() -> tuple:
    return (
        random.getstate(),
        np.random.get_state(legacy=False),
        torch.default_generator.get_state(),
    )


def _set_states(python: tuple, numpy: dict, cpu: torch.Tensor) -> None:
    random.setstate(python)
    np.random.set_state(numpy)
    torch.default_generator.set_state(cpu)
