"""Freed memory that a next step gets back as it is."""

import resource

import torch

from ccmim.engine.memory import keep_freed_memory


def test_a_second_step_finds_its_memory():
    """In one of several: a kernel may take back pages that are not looked at."""
    assert keep_freed_memory()
    faults = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        tensors = [torch.ones(2**20) for _ in range(64)]  # of 4 MiB
        faults.append(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)
        del tensors
    assert min(faults[1:]) < 0.1 * 64 * 2**22 / resource.getpagesize()
