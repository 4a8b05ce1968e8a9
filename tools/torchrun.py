"""Start the processes of tools/dist_train.sh and tools/dist_test.sh, as torchrun does.

Ends with the exit code of the process that failed first, where torchrun ends with 1,
and without a traceback of its own, below which that process's message would be lost.
Processes that a signal stops have ten minutes to end a step and save it, not 30 s.
SIGUSR1 is passed on like the others; whoever is killed takes its processes along.
Machines that do not find each other are one line; a mistake is not tried again.
"""

import signal

if __name__ == '__main__':  # signals wait until all is imported
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGHUP))

import ctypes
import os
import socket
import subprocess
import sys
from functools import partial
from typing import Any

from torch.distributed import DistError
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import api
from torch.distributed.elastic.multiprocessing.api import PContext, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.elastic.multiprocessing.subprocess_handler import (
    subprocess_handler,
)
from torch.distributed.elastic.rendezvous import RendezvousError
from torch.distributed.run import main

TIME_TO_SAVE = 600  # seconds
# The job is over in order, and may be started again: Slurm says so with both.
EXIT_CODES = {signal.SIGUSR1: 0}
if 'SLURM_JOB_ID' in os.environ:
    EXIT_CODES[signal.SIGTERM] = 0
MISTAKE = 2  # exit code
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


def watch(agent: LocalElasticAgent, group: Any) -> Any:
    """Look at the processes as torchrun does; a mistake is one the second time too."""
    result = _watch(agent, group)
    if MISTAKE in [failure.exitcode for failure in result.failures.values()]:
        agent._remaining_restarts = 0
    return result


def start_all(agent: LocalElasticAgent, group: Any) -> Any:
    """Start the processes as torchrun does; a signal waits until all can be told."""
    global _held
    _held = []
    try:
        ids = _start_workers(agent, group)
    finally:
        numbers, _held = _held, None
    if numbers:
        _stop(numbers[0], None)
    return ids


def own_address() -> str:
    """Return this machine's address on the route to machine 0; empty if unknown."""
    target = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])
    family, kind, *_, target = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:  # sends nothing
        probe.connect(target)
        return probe.getsockname()[0]


def not_met(error: Exception) -> str:
    """Say that the machines have not found each other, and what to look at."""
    at = os.environ
    where = f'{at["MASTER_ADDR"]}:{at["MASTER_PORT"]}'
    name = f'host {socket.gethostname()}, NODE_RANK={at["NODE_RANK"]}'
    return (
        f'{name}, did not meet all {at["NNODES"]} machines at {where} within '
        f'{at["RDZV_TIMEOUT"]} s: look at MASTER_ADDR, PORT, NNODES and NODE_RANK of '
        'each, at the errors of the others, and whether a firewall lets them reach '
        f'machine 0; RDZV_TIMEOUT sets the seconds: {str(error).splitlines()[0]}'
    )


def _stop(number: int, frame: Any) -> None:
    if _held is not None:
        _held.append(number)
        return
    raise SignalException(f'got signal {number}', signal.Signals(number))


_close = PContext.close
_watch = LocalElasticAgent._monitor_workers
_start_workers = LocalElasticAgent._start_workers
_held: list[int] | None = None  # signals that came while processes were started

if __name__ == '__main__':
    PContext.close = patient_close
    LocalElasticAgent._monitor_workers = watch
    LocalElasticAgent._start_workers = start_all
    subprocess_handler.Popen = start_bound
    api._terminate_process_handler = _stop  # of the signals that torch catches
    for number in HELD:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)
    try:
        sys.argv.insert(1, f'--local_addr={own_address()}')
    except OSError as error:
        print(
            f'error: MASTER_ADDR={os.environ["MASTER_ADDR"]} cannot be reached from '
            f'host {socket.gethostname()}: {error.strerror}',
            file=sys.stderr,
        )
        sys.exit(MISTAKE)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        main()
    except (DistError, RendezvousError) as error:
        print(f'error: {not_met(error)}', file=sys.stderr)
        sys.exit(MISTAKE)
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
