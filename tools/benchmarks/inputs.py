"""What the measured steps are fed with."""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor

Feed = Callable[[], AbstractContextManager[Iterator[Any]]]
_CHUNK = 64


def noise_batches(
    batch_size: int, size: int, device: torch.device, count: int = 8, seed: int = 0
) -> list[Tensor]:
    """Draw batches of 1/f noise, whose spectrum is that of photographs.

    Zeros or white noise would flatter: the power that a GPU draws, and with it its
    clock, depends on the values.

    Args:
        batch_size: Images a batch, B.
        size: Side S of the images in pixels.
        device: Where the batches lie; the noise differs between kinds of devices.
        count: Number of batches.
        seed: Seed of the noise.

    Returns:
        uint8 tensors of shape (B, 3, S, S), mean about 128, deviation about 50.
    """
    generator = torch.Generator(device).manual_seed(seed)
    rows, columns = torch.fft.fftfreq(size), torch.fft.rfftfreq(size)
    frequency = (rows[:, None] ** 2 + columns**2).sqrt().to(device)
    falloff = 1 / frequency.clamp(min=1 / size)

    def draw(length: int) -> Tensor:
        white = torch.randn(length, 3, size, size, generator=generator, device=device)
        pink = torch.fft.irfft2(torch.fft.rfft2(white) * falloff, s=(size, size))
        pink -= pink.mean(dim=(1, 2, 3), keepdim=True)
        pink /= pink.std(dim=(1, 2, 3), keepdim=True)
        return (128 + 50 * pink).clamp(0, 255).byte()

    lengths = [min(_CHUNK, batch_size - i) for i in range(0, batch_size, _CHUNK)]
    return [torch.cat([draw(length) for length in lengths]) for _ in range(count)]


def from_memory(batches: list[Tensor]) -> Feed:
    """Feed batches that lie on the device, in rotation and without end."""
    return lambda: nullcontext(itertools.cycle(batches))


def from_files(cfg: Config, images: str, batch_size: int, workers: int | None) -> Feed:
    """Feed a config's own data loader from another folder, without end.

    Each round starts workers of its own and first takes the batches that they prepare
    ahead, so that a round shows the rate that lasts, and stops them at its end, so that
    they take nothing from the other rows.

    Args:
        cfg: A pretraining config.
        images: Folder, list file or tar shards in place of the config's.
        batch_size: Images a batch.
        workers: Processes that load; what the config says, up to the number of cores,
            when None.

    Returns:
        The feed, of batches as the loader collates them.
    """
    loader_cfg = cfg.train_dataloader.to_dict()
    loader_cfg['dataset']['data'] = images
    if workers is None:
        workers = min(loader_cfg['num_workers'], os.cpu_count() or 1)
    loader_cfg.update(
        batch_size=batch_size,
        num_workers=workers,
        persistent_workers=False,
        pin_memory=torch.cuda.is_available(),
        # Without the seams between epochs, at which workers start anew.
        sampler=dict(type='InfiniteVisitSampler', shuffle=True),
    )
    with DefaultScope.overwrite_default_scope('ccmim'):
        loader = Runner.build_dataloader(loader_cfg, seed=0)

    @contextmanager
    def feed() -> Iterator[Iterator[Any]]:
        stream = iter(loader)
        for _ in range(workers * (loader.prefetch_factor or 0)):
            next(stream)
        yield stream
        del stream  # stops the workers

    return feed
