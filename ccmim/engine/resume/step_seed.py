"""Seed the model's random numbers by the step."""

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ccmim.registry import HOOKS

_STEP = 3  # keeps a step's numbers apart from those of the data


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed every generator before each step by (seed, iteration, rank).

    Masks, noise and stochastic depth then depend on the step alone. mmengine saves no
    generator state, so without this a resumed run would repeat its first masks.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seed Python, numpy and torch on this process's devices."""
        seed_step(runner.seed, runner.iter, get_rank())


def seed_step(seed: int, iteration: int, rank: int) -> None:
    """Seed every generator for a step of a process.

    Args:
        seed: Seed of the run.
        iteration: Number of the step, from 0.
        rank: Of the process.
    """
    key = (seed, iteration, rank, _STEP)
    words = np.random.SeedSequence(key).generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])
    torch.default_generator.manual_seed(words[2])
    if torch.cuda.is_available():
        torch.cuda.manual_seed(words[2])
