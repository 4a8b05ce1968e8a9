"""Signals and timeouts of data loader workers."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ccmim.ranges import NonNegative
from ccmim.registry import HOOKS

_LOOK = 0.5  # seconds from one look for the parent to the next


def ignore_signals_in_workers(loader: DataLoader) -> None:
    """Let the workers of a loader outlive the signals that ask a run to stop.

    Ctrl-C reaches every process of a terminal, and Slurm signals every process of a
    job. The last steps before a checkpoint still need their batches.

    Args:
        loader: Whose workers do not run yet.
    """
    loader.worker_init_fn = partial(_ignore_signals, loader.worker_init_fn)


def end_idle_workers(loader: DataLoader, loop: object = None) -> None:
    """End the workers that a loader, or a loop over it without end, still keeps.

    Whoever collects them as garbage, often much later, would wait 5 s for each.

    Args:
        loader: That is not read any more.
        loop: The training loop, if it may hold an iterator of its own.
    """
    endless = getattr(loop, 'dataloader_iterator', None)
    for owner in (loader, endless):
        iterator = getattr(owner, '_iterator', None)
        if hasattr(iterator, '_shutdown_workers'):
            iterator._shutdown_workers()
    loader._iterator = None


def _ignore_signals(then: Callable[[int], None] | None, worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # PyTorch's own handler would end the worker, whoever sent SIGTERM. It is also how
    # the main process ends a worker that hangs, which must continue to work.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    threading.Thread(target=_end_when_the_parent_says, daemon=True).start()
    if then is not None:
        then(worker)


def _end_when_the_parent_says() -> None:
    parent = os.getppid()
    while True:
        received = signal.sigtimedwait([signal.SIGTERM], _LOOK)
        if received and received.si_pid == parent:
            os._exit(0)
        if os.getppid() != parent:
            # A worker has copies of its parent's connections: while it lives, the other
            # processes of the run do not see that the parent is gone.
            os._exit(1)


@HOOKS.register_module()
class LoaderTimeoutHook(Hook):
    """Limit the time in which loader workers must deliver a batch.

    A network disk that is gone, or a decoder that never ends, would let the run wait
    for ever. Other ranks wait meanwhile, for at most ten minutes by PyTorch's default:
    a shorter time lets the rank speak first that knows the cause.

    Args:
        seconds: The time, which begins anew with every batch; 0 for none. A loader
            that has a ``timeout`` keeps it, and one without workers needs none.
    """

    def __init__(self, seconds: NonNegative = 300) -> None:
        self._seconds = seconds

    def before_train(self, runner: Runner) -> None:
        """Set the time, before the workers start."""
        loader = runner.train_dataloader
        if loader.num_workers and not loader.timeout:
            loader.timeout = self._seconds
