"""Freed memory that a next step gets back as it is."""

import resource

import torch

from ccmim.engine.memory import keep_freed_memory


def test_a_second_step_finds_its_memory():
    """But for a few pages: the kernel may take some back that are not looked at."""
    assert keep_freed_memory()
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        tensors = [torch.ones(2**20) for _ in range(64)]  # of 4 MiB
        faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
        del tensors
    assert faults < 0.5 * 64 * 2**22 / resource.getpagesize()
