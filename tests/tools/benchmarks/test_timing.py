"""Rows are timed in turn, each round anew."""

import time
from contextlib import nullcontext
from itertools import repeat

import torch

from benchmarks.rows import Contender, Label
from benchmarks.timing import measure, time_round

CPU = torch.device('cpu')


def _row(name, train):
    label = Label('step', 's', 2, 'ours', name, 'fp32')
    return Contender(label, train, lambda: nullcontext(repeat(0)))


def test_rounds_go_over_all_rows_in_turn():
    seen = []

    def recorder(name):
        return lambda batches: seen.append((name, len(list(batches))))

    rows = [_row(name, recorder(name)) for name in 'ABC']
    taken = measure(rows, rounds=2, steps=3, warmup=1, device=CPU)
    warmup = [(name, 1) for name in 'ABC']
    assert seen == warmup + [(name, 3) for name in 'ABCABC']
    assert [len(taken[row.label]) for row in rows] == [2, 2, 2]


def test_row_that_runs_out_of_memory_drops_out():
    def fail(batches):
        raise torch.OutOfMemoryError

    rows = [_row('A', fail), _row('B', list)]
    taken = measure(rows, rounds=3, steps=1, warmup=1, device=CPU)
    assert taken[rows[0].label] == []
    assert len(taken[rows[1].label]) == 3


def test_sleep_takes_time_but_no_cpu_time():
    once = time_round(_row('A', lambda batches: time.sleep(0.2)), 1, CPU)
    assert once.seconds >= 0.2
    assert once.cpu_seconds < 0.1
    assert once.peak_bytes is None


def test_opening_the_source_is_not_timed():
    class Slow(nullcontext):
        def __enter__(self):
            time.sleep(0.3)
            return iter([0])

    row = _row('A', list)._replace(feed=Slow)
    assert time_round(row, 1, CPU).seconds < 0.2
