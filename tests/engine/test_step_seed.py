"""Random numbers of a step depend on (seed, iteration, rank) and on nothing else."""

import random
from types import SimpleNamespace

import numpy as np
import torch

from ccmim.engine import StepSeedHook
from ccmim.engine.resume import step_seed


def _draws(seed, iteration, rank, monkeypatch):
    monkeypatch.setattr(step_seed, 'get_rank', lambda: rank)
    StepSeedHook().before_train_iter(SimpleNamespace(seed=seed, iter=iteration), 0)
    return torch.rand(3).tolist(), np.random.rand(), random.random()


def test_same_step_same_numbers(monkeypatch):
    first = _draws(1, 10, 0, monkeypatch)
    torch.rand(100)  # whatever happened in between
    assert _draws(1, 10, 0, monkeypatch) == first


def test_each_part_of_the_key_counts(monkeypatch):
    keys = [(1, 10, 0), (2, 10, 0), (1, 11, 0), (1, 10, 1)]
    draws = [_draws(*key, monkeypatch) for key in keys]
    for part in range(3):
        assert len({str(draw[part]) for draw in draws}) == 4
