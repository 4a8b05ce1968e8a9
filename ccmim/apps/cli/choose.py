"""Default settings of a pretraining, by a simple rule."""

import math
import os
from typing import NamedTuple

import torch

_GB = 2**30
# Images seen in a run, and bounds of the epochs that makes.
_SEEN = {'cpu': 60_000, 'cuda': 10_000_000}
_EPOCHS = {'cpu': (5, 200), 'cuda': (20, 800)}
# Memory of the GPU in GB, from which on: size, batch.
_GPUS = ((40, 'base', 256), (12, 'base', 128), (0, 'small', 64))
_SMALL_PHOTO = 64  # pixels
_WITH_SMALL_PHOTOS = ('ccmim', 'mae')  # methods with a config for patches of 4 px


class Machine(NamedTuple):
    """What there is to train on.

    Attributes:
        device: 'cuda' or 'cpu'.
        name: What a person calls it.
        gigabytes: Memory of the GPU, or of the machine without one.
        cores: CPU cores that this process may use.
    """

    device: str
    name: str
    gigabytes: float
    cores: int


class Settings(NamedTuple):
    """What a pretraining is made of.

    Attributes:
        method: Name of the method.
        size: Of the Vision Transformer.
        image_size: Side in pixels.
        patch_size: Side in pixels.
        batch_size: Images a step.
        epochs: Times that each image is seen.
        workers: Processes that load images.
    """

    method: str
    size: str
    image_size: int
    patch_size: int
    batch_size: int
    epochs: int
    workers: int


def this_machine() -> Machine:
    """Detect the machine's hardware."""
    cores = len(os.sched_getaffinity(0))
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / _GB
        return Machine('cuda', torch.cuda.get_device_name(0), memory, cores)
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / _GB
    return Machine('cpu', 'no GPU', memory, cores)


def choose(
    num_images: int,
    median_side: int,
    machine: Machine,
    method: str,
    size: str | None = None,
    image_size: int | None = None,
    batch_size: int | None = None,
    epochs: int | None = None,
    workers: int | None = None,
    patch_size: int | None = None,
) -> Settings:
    """Choose what is None.

    Args:
        num_images: How many can be used, at least 2.
        median_side: Median short side of the photos in pixels.
        machine: On what.
        method: Name of the method.
        size: Of the Vision Transformer.
        image_size: Side in pixels.
        batch_size: Images a step.
        epochs: Times that each image is seen.
        workers: Processes that load images.
        patch_size: Of the weights that the run begins from.

    Returns:
        All of them.

    Raises:
        ValueError: If a size does not fit.
    """
    usual_size, usual_side, usual_batch, patch = 'tiny', 128, 64, 16
    if machine.device == 'cuda':
        usual_side = 224
        usual_size, usual_batch = next(
            rest for least, *rest in _GPUS if machine.gigabytes >= least
        )
    fits = size in (None, 'tiny') and method in _WITH_SMALL_PHOTOS
    fits = fits and patch_size is None
    if fits and image_size is None and median_side < _SMALL_PHOTO:
        usual_size, usual_side, patch = 'tiny', 32, 4
    if patch_size is not None:
        usual_side, patch = usual_side // patch_size * patch_size, patch_size
    side = image_size or usual_side
    if side % patch or side < 2 * patch:
        raise ValueError(
            f'--image-size {side} must be a multiple of {patch}, and at least '
            f'{2 * patch}'
        )
    batch = min(batch_size or usual_batch, num_images)
    if epochs is None:
        low, high = _EPOCHS[machine.device]
        epochs = min(high, max(low, math.ceil(_SEEN[machine.device] / num_images)))
    return Settings(
        method,
        size or usual_size,
        side,
        patch,
        batch,
        epochs,
        workers or max(1, min(8, machine.cores - 1)),
    )
