"""Estimate how long stages will take, from a few steps of each."""

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, init_default_scope

from ccmim.data.randomness import SampleKey
from ccmim.data.seeded_samples import SeededSamples
from ccmim.engine.config import read_config

_STEPS, _TESTED = 2, 4  # that are timed, after one that is not


class Pace(NamedTuple):
    """What was measured of a config.

    Attributes:
        start: Seconds until the first step.
        step: Seconds of a step, loading included.
        image: Seconds in which an image is tested; 0 where nothing is.
        steps: How many steps the run has.
        images: How many images are tested.
        dtype: The precision of the training.
    """

    start: float
    step: float
    image: float
    steps: int
    images: int
    dtype: str

    @property
    def seconds(self) -> float:
        """What the training and its test take."""
        tested = self.image * self.images
        return 2 * self.start + self.step * self.steps + tested


def measure_paces(
    runs: Sequence[tuple[str, Mapping[str, Any]]], jobs: int
) -> list[Pace]:
    """Train some steps of each run, in forks of this process that share the cores.

    Args:
        runs: Config and options of each.
        jobs: How many run at a time.

    Returns:
        A pace each. Nothing that is drawn or learned here reaches a run.
    """
    with multiprocessing.get_context('fork').Pool(jobs, _alone) as pool:
        return pool.starmap(measure_pace, runs, chunksize=1)


def _alone() -> None:
    torch.set_num_threads(1)
    sys.stdout = open(os.devnull, 'w')  # noqa: SIM115 - of what data sets print
    MMLogger.get_current_instance().setLevel('ERROR')


def measure_pace(config: str, options: Mapping[str, Any] | None = None) -> Pace:
    """Train and test some steps of a run, here.

    Args:
        config: Of the run.
        options: Changes of it.
    """
    started = time.perf_counter()
    cfg = read_config(config, options=options)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).to(get_device()).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper.to_dict())
    data = SeededSamples(cfg.train_dataloader.dataset)  # replaces damaged photos
    size = cfg.train_dataloader.batch_size
    collate = default_collate if cfg.default_scope == 'ccmim' else pseudo_collate

    def step(number: int) -> None:
        positions = range(number * size, (number + 1) * size)
        keys = [SampleKey(0, i // len(data), i % len(data)) for i in positions]
        model.train_step(collate([data[key] for key in keys]), wrapper)
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    step(0)
    start, started = time.perf_counter() - started, time.perf_counter()
    for number in range(_STEPS):
        step(number + 1)
    taken = (time.perf_counter() - started) / _STEPS
    epochs = cfg.train_cfg.get('max_epochs', 0)
    length = cfg.train_cfg.get('max_iters') or epochs * (len(data) // size)
    image, count = 0.0, 0
    if cfg.get('test_dataloader'):
        tested = DATASETS.build(cfg.test_dataloader.dataset)
        count, started = len(tested), time.perf_counter()
        with torch.no_grad():
            for number in range(_TESTED):
                model.eval().test_step(collate([tested[number % count]]))
        image = (time.perf_counter() - started) / _TESTED
    name = str(wrapper.dtype).removeprefix('torch.')
    return Pace(start, taken, image, length, count, name)


def total_seconds(chains: Sequence[Sequence[float]], jobs: int) -> float:
    """Estimate how long chains of stages take in parallel.

    Args:
        chains: Seconds of the stages of each.
        jobs: How many stages run at a time.
    """
    free = [0.0] * jobs
    for chain in chains:
        free.sort()
        free[0] += sum(chain)
    return max(free)


def clock(seconds: float) -> str:
    """Write minutes and seconds."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'
