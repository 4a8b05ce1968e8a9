"""Freed memory that a next step gets back as it is."""

import resource

import torch

from ccmim.engine.memory import keep_freed_memory


def page_faults():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt


def test_a_second_step_finds_its_memory():
    assert keep_freed_memory()

    def step():
        before = page_faults()
        tensors = [torch.ones(2**20) for _ in range(64)]  # of 4 MiB
        return page_faults() - before, len(tensors)

    step()
    faults, count = step()
    assert faults < 0.1 * count * 2**22 / resource.getpagesize()
