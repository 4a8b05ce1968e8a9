"""Loader workers that leave it to the main process when to stop."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial

from torch.utils.data import DataLoader

_LOOK = 0.5  # seconds from one look for the parent to the next


def ignore_signals_in_workers(loader: DataLoader) -> None:
    """Let the workers of a loader outlive the signals that ask a run to stop.

    Ctrl-C reaches every process of a terminal, and Slurm signals every process of a
    job. The last steps before a checkpoint still need their batches.

    Args:
        loader: Whose workers do not run yet.
    """
    loader.worker_init_fn = partial(_ignore_signals, loader.worker_init_fn)


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
        told = signal.sigtimedwait([signal.SIGTERM], _LOOK)
        if told and told.si_pid == parent:
            os._exit(0)
        if os.getppid() != parent:
            # A worker has copies of its parent's connections: while it lives, the other
            # processes of the run do not see that the parent is gone.
            os._exit(1)
