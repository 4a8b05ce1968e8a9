"""Start the processes of tools/dist_train.sh and tools/dist_test.sh, as torchrun does.

Ends with the exit code of the process that failed first, where torchrun ends with 1,
and without a traceback of its own, below which that process's message would be lost.
Processes that a signal stops have ten minutes to end a step and save it, not 30 s.
SIGUSR1 is passed on like the others; whoever is killed takes its processes along.
"""

import ctypes
import os
import signal
import subprocess
import sys
from functools import partial
from typing import Any

from torch.distributed.elastic.multiprocessing.api import PContext, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.multiprocessing.subprocess_handler import (
    subprocess_handler,
)
from torch.distributed.run import main

TIME_TO_SAVE = 600  # seconds
# The job is over in order, and may be started again.
EXIT_CODES = {signal.SIGUSR1: 0}
HELD = (signal.SIGUSR1, signal.SIGHUP)  # until a process can save
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl


def patient_close(
    context: PContext, death_sig: signal.Signals | None = None, timeout: int = 30
) -> None:
    """End processes as torchrun does, later if they are stopped by a signal.

    Where another process has failed there is none; then they may wait for it in vain.
    """
    _close(context, death_sig, TIME_TO_SAVE if death_sig else timeout)


def start_bound(*args: Any, **kwargs: Any) -> subprocess.Popen:
    """Start a process that is told to stop when this one dies, however that happens."""
    libc = ctypes.CDLL(None)  # before the fork
    bind = partial(_bind, libc, os.getpid())
    return subprocess.Popen(*args, **kwargs, preexec_fn=bind)  # noqa: PLW1509


def _bind(libc: ctypes.CDLL, parent: int) -> None:
    # SIGTERM lets it save what it has.
    if hasattr(libc, 'prctl'):  # Linux
        libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    if os.getppid() != parent:
        os._exit(1)


def _stop(number: int, frame: Any) -> None:
    raise SignalException(f'got signal {number}', signal.Signals(number))


_close = PContext.close

if __name__ == '__main__':
    PContext.close = patient_close
    subprocess_handler.Popen = start_bound
    signal.signal(signal.SIGUSR1, _stop)  # the others are torch's own
    try:
        main()
    except SignalException as error:
        sys.exit(EXIT_CODES.get(error.sigval, 128 + error.sigval))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode > 0:
            sys.exit(failure.exitcode)
        name = failure.signal_name()
        hint = ', often by the system when memory is short' * (name == 'SIGKILL')
        print(f'error: process {rank} was ended by {name}{hint}', file=sys.stderr)
        sys.exit(128 - failure.exitcode)
