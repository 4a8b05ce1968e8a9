"""One signal is a request, two are an order."""

import logging
import os
import signal
import time
from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader

from ccmim.engine import SafeCheckpointHook
from ccmim.engine.signals.stop_hook import StopHook, exit_code
from ccmim.engine.signals.worker_signals import _ignore_signals


def _die_by(signals):
    """How a child ends that gets signals; each is a pair of a pause and a number."""
    child = os.fork()
    if child == 0:
        hook = StopHook()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, hook._note)
        for pause, number in signals:
            time.sleep(pause)
            os.kill(os.getpid(), number)
        os._exit(hook._asked)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_repeated_signal_ends_the_process(monkeypatch):
    monkeypatch.setattr('ccmim.engine.signals.stop_hook._IMPATIENT', 0.1)
    assert _die_by([(0, signal.SIGTERM)]) == signal.SIGTERM  # it was noted
    # A launcher passes on what the terminal has sent already.
    assert _die_by([(0, signal.SIGINT), (0, signal.SIGINT)]) == signal.SIGINT
    assert _die_by([(0, signal.SIGINT), (0.2, signal.SIGTERM)]) == -signal.SIGTERM


@pytest.mark.parametrize(
    ('number', 'code'), [(signal.SIGUSR1, 0), (signal.SIGTERM, 143)]
)
def test_a_run_that_is_asked_to_stop_saves_and_ends_with_the_code(number, code):
    """In a child, whose exit code is that of the run, or 99 where nothing is saved."""
    saver, hook, saved = SafeCheckpointHook(), StopHook(), []
    saver.save_after_iter = lambda runner: saved.append(runner.iter)
    runner = SimpleNamespace(
        hooks=[saver],
        cfg={},
        train_dataloader=DataLoader(range(2)),
        train_loop=None,
        val_loop=None,
        iter=7,
        max_iters=100,
        logger=logging.getLogger('stop'),
        call_hook=lambda name: None,
        optim_wrapper=SimpleNamespace(should_update=lambda: True),
    )
    child = os.fork()
    if child == 0:
        ended = 98
        try:
            hook.before_train(runner)
            hook.after_train_iter(runner, 0)  # nobody has asked yet
            os.kill(os.getpid(), number)
            hook.after_train_iter(runner, 0)
        except SystemExit as end:
            ended = end.code if saved == [7] else 99
        finally:
            os._exit(ended)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code


def test_a_job_of_slurm_that_is_stopped_is_over_in_order(monkeypatch):
    monkeypatch.delenv('SLURM_JOB_ID', raising=False)
    assert [exit_code(n) for n in (signal.SIGTERM, signal.SIGUSR1)] == [143, 0]
    monkeypatch.setenv('SLURM_JOB_ID', '7')
    assert [exit_code(n) for n in (signal.SIGTERM, signal.SIGHUP)] == [0, 129]


def test_processes_agree_at_every_tenth_step(monkeypatch):
    """Each then stops for a signal that only the other one has got."""
    hook, own = StopHook(), []
    hook._group = object()

    def all_reduce(value, operation, group):
        own.append(value.item())
        value.fill_(signal.SIGUSR1)

    monkeypatch.setattr('torch.distributed.all_reduce', all_reduce)
    found = [hook._ask(SimpleNamespace(iter=step)) for step in range(20)]
    assert found == 2 * [*([0] * 9), signal.SIGUSR1]
    assert own == [0, 0]


def test_workers_of_the_validation_outlive_signals_too():
    """They may wait through the training, and PyTorch raises when one of them dies."""
    train, val = (DataLoader(range(2)) for _ in range(2))
    val_loop, hooks = SimpleNamespace(dataloader=val), [SafeCheckpointHook()]
    loops = dict(train_dataloader=train, train_loop=None, val_loop=val_loop)
    runner = SimpleNamespace(hooks=hooks, cfg={}, **loops)
    hook = StopHook()
    try:
        hook.before_train(runner)
    finally:
        hook.after_train(runner)
    for loader in (train, val):
        assert loader.worker_init_fn.func is _ignore_signals
