"""Timing in interleaved rounds: A B C A B C, so that drifts meet all rows alike."""

import time
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch

from benchmarks.rows import Contender, Label


class Round(NamedTuple):
    """What one round of one row took.

    Attributes:
        seconds: Time by the device's clock.
        cpu_seconds: CPU time of this process, which other processes do not lengthen.
        peak_bytes: Most GPU memory held, without the other rows'; None on a CPU.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None


def measure(
    contenders: Sequence[Contender],
    rounds: int,
    steps: int,
    warmup: int,
    device: torch.device,
) -> dict[Label, list[Round]]:
    """Time all rows in turn, several times over.

    Args:
        contenders: The rows.
        rounds: How many times all rows are timed.
        steps: Steps of a row in a round.
        warmup: Steps of a row before the first round.
        device: Where they run.

    Returns:
        The rounds of each row, in their order; none for a row that ran out of memory.
    """
    taken: dict[Label, list[Round]] = {row.label: [] for row in contenders}
    fitting = [row for row in contenders if _fits(row, warmup, device)]
    for _ in range(rounds):
        for row in fitting:
            taken[row.label].append(time_round(row, steps, device))
    return taken


def time_round(row: Contender, steps: int, device: torch.device) -> Round:
    """Time some steps of a row; the device is waited for at their end only."""
    on_cuda = device.type == 'cuda'
    with row.feed() as stream:
        batches = islice(stream, steps)
        if on_cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            own = sum(t.nbytes for t in row.state())
            others = torch.cuda.memory_allocated() - own
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
        wall, cpu = time.perf_counter(), time.process_time()
        row.train(batches)
        if on_cuda:
            end.record()
            torch.cuda.synchronize()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if not on_cuda:
        return Round(wall, cpu, None)
    peak = torch.cuda.max_memory_allocated() - others
    return Round(start.elapsed_time(end) / 1000, cpu, peak)


def _fits(row: Contender, warmup: int, device: torch.device) -> bool:
    try:
        time_round(row, warmup, device)
        return True
    except torch.OutOfMemoryError:
        pass  # what the exception holds on to is free only after this block
    torch.cuda.empty_cache()
    return False
