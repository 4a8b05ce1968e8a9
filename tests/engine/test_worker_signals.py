"""Workers outlive the signals of a job and obey their parent."""

import multiprocessing
import os
import signal
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import DataLoader, Dataset

from ccmim.engine.signals.worker_signals import (
    end_idle_workers,
    ignore_signals_in_workers,
)


@pytest.fixture(autouse=True)
def _usual_signals():
    """Workers inherit handlers, which a run that failed has not given back."""
    usual = {n: signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGUSR1)}
    usual[signal.SIGINT] = signal.default_int_handler
    before = {n: signal.signal(n, handler) for n, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Pids(Dataset):
    """Gives the process that loads."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor(os.getpid())


def _send_from_another_process(number, pid):
    child = os.fork()
    if child == 0:
        os.kill(pid, number)
        os._exit(0)
    os.waitpid(child, 0)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ('SIGINT', 'SIGUSR1')]


@pytest.mark.parametrize('ignoring', [True, False])
@pytest.mark.parametrize('name', ['SIGTERM', *SLOW])
def test_signals_of_others_do_not_end_a_worker(name, ignoring):
    """The control: without it each of them does."""
    loader = DataLoader(Pids(), num_workers=1, prefetch_factor=1)
    if ignoring:
        ignore_signals_in_workers(loader)
    batches = iter(loader)
    worker = int(next(batches))
    ends = pytest.raises((RuntimeError, KeyboardInterrupt))
    with nullcontext() if ignoring else ends:
        _send_from_another_process(getattr(signal, name), worker)
        time.sleep(0.2)
        assert [int(batch) for batch in batches] == [worker] * 7


def test_the_parent_can_end_a_worker():
    started = torch.zeros(1).share_memory_()
    begin = lambda worker: started.add_(1)  # noqa: E731
    loader = DataLoader(Pids(), num_workers=1, worker_init_fn=begin)
    ignore_signals_in_workers(loader)
    batches = iter(loader)
    worker = int(next(batches))
    assert started.item() == 1
    os.kill(worker, signal.SIGTERM)
    for process in batches._workers:
        process.join(5)
        assert process.exitcode == 0


@pytest.mark.parametrize('endless', [False, True])
def test_idle_workers_end_with_the_training(endless):
    loader = DataLoader(Pids(), num_workers=2, persistent_workers=not endless)
    ignore_signals_in_workers(loader)
    batches = _InfiniteDataloaderIterator(loader) if endless else iter(loader)
    next(batches)
    end_idle_workers(loader, SimpleNamespace(dataloader_iterator=batches))
    assert multiprocessing.active_children() == []


def test_a_worker_ends_with_its_parent(tmp_path):
    """Soon: it has copies of the connections that others watch the parent through."""
    child = os.fork()
    if child == 0:
        loader = DataLoader(Pids(), num_workers=1)
        ignore_signals_in_workers(loader)
        batches = iter(loader)
        worker = int(next(batches))
        (tmp_path / 'pid').write_text(str(worker))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    worker = int((tmp_path / 'pid').read_text())
    deadline = time.monotonic() + 3
    while _lives(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False
