"""Timing in interleaved rounds: A B C A B C, so that drifts meet all rows alike."""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import torch

from benchmarks.rows import Contender, Label
from ccmim.progress import duration


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
    say: Callable[[str], None] = lambda line: None,
) -> dict[Label, list[Round]]:
    """Time all rows in turn, several times over.

    Args:
        contenders: The rows.
        rounds: How many times all rows are timed.
        steps: Steps of a row in a round.
        warmup: Steps of a row before the first round.
        device: Where they run.
        say: Called with how long all of it will take, and each row of each round.

    Returns:
        The rounds of each row, in their order; none for a row that ran out of memory.
    """
    taken: dict[Label, list[Round]] = {row.label: [] for row in contenders}
    warm = [(row, _warm_up(row, warmup, device)) for row in contenders]
    fitting = [row for row, one in warm if one]
    seconds = sum(one.seconds for _, one in warm if one) / warmup * steps
    say(f'about {duration(rounds * seconds)}: {rounds} rounds of {len(fitting)} rows')
    for number in range(rounds):
        for row in fitting:
            one = time_round(row, steps, device)
            taken[row.label].append(one)
            rate = row.label.batch_size * steps / one.seconds
            name = ' '.join(map(str, row.label))
            say(f'round {number + 1} of {rounds}: {name}: {rate:.1f} img/s')
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


def _warm_up(row: Contender, warmup: int, device: torch.device) -> Round | None:
    """Take the first steps; None if the memory does not suffice."""
    try:
        return time_round(row, warmup, device)
    except torch.OutOfMemoryError:
        pass  # what the exception holds on to is free only after this block
    torch.cuda.empty_cache()
    return None
