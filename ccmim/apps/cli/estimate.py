"""Estimate time and memory of a run from a few steps of the real model."""

import resource
import time
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from ccmim.apps.cli.choose import Machine
from ccmim.engine.settings.space import checkpoint_bytes
from ccmim.masking import stored_scorer
from ccmim.registry import DATASETS, MODELS

_STEPS, _PATIENCE = 3, 6.0  # timed steps, unless they take more seconds than that
_FEW = 4  # images of a first step on a CPU, which shows whether a whole one is too long
_IMAGES = 16  # loaded to see how long it takes
_GB = 2**30


class Estimate(NamedTuple):
    """What was measured.

    Attributes:
        step: Seconds of a step without loading.
        image: Seconds in which one process loads an image.
        gigabytes: Most memory held: of the GPU, or of this process without one.
        checkpoint: Bytes of a checkpoint.
        steps: How many steps were timed; 0 where a step of a few images was, on a CPU
            that would take too long for a whole one.
    """

    step: float
    image: float
    gigabytes: float
    checkpoint: int
    steps: int

    def seconds(self, steps: int, batch: int, machine: Machine, workers: int) -> float:
        """Estimate the seconds of a run: loading shares the cores with a CPU's steps.

        Args:
            steps: Of the run.
            batch: Images a step.
            machine: Where it will run.
            workers: Processes that load images.
        """
        if machine.device == 'cuda':
            return steps * max(self.step, batch * self.image / workers)
        return steps * (self.step + batch * self.image / machine.cores)


def measure(cfg: Config, machine: Machine) -> Estimate:
    """Train some steps of a config, on its first images.

    Args:
        cfg: A whole pretraining config; stays as it is.
        machine: Where to.

    Returns:
        What they took. Nothing that is drawn or learned here reaches the run.
    """
    with DefaultScope.overwrite_default_scope('ccmim'):
        model = MODELS.build(cfg.model).to(machine.device).train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper.to_dict())
        # Damaged images may be among them: their list is not written yet.
        taken = dict(exclude=None, max_bad_ratio=1.0)
        dataset = DATASETS.build({**cfg.train_dataloader.dataset, **taken})
    start = time.perf_counter()
    samples = [dataset[i] for i in range(min(_IMAGES, len(dataset)))]
    image = (time.perf_counter() - start) / len(samples)

    batch = cfg.train_dataloader.batch_size
    picked = [samples[i % len(samples)] for i in range(batch)]
    on_gpu = machine.device == 'cuda'
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()

    def train(count: int) -> float:
        data = torch.utils.data.default_collate(picked[:count])
        box = data.pop('crop_box', None)
        started = time.perf_counter()
        if box is not None:  # what ScoreRefreshHook does for AMT
            stored_scorer(model).show(data['data_samples'], box)
        model.train_step(data, wrapper)
        if on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - started

    few = batch if on_gpu else min(_FEW, batch)
    train(few)  # the first one is slower
    times: list[float] = []
    step = train(few) * batch / few
    if on_gpu or step < _PATIENCE:
        while len(times) < _STEPS and sum(times) < _PATIENCE:
            times.append(train(batch))
        step = sum(times) / len(times)
    size = checkpoint_bytes(model)
    if on_gpu:
        held = torch.cuda.max_memory_allocated()
        del model, wrapper
        torch.cuda.empty_cache()
    else:
        held = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Estimate(step, image, held / _GB, size, len(times))
