"""Which of several processes a run lost, when those that are left notice it."""

import socket
import time

from mmengine.dist import get_dist_info
from torch import distributed

# What gloo and NCCL say when another process is gone, or silent for too long.
_GONE = ('Connection closed by peer', 'Connection reset by peer', 'Broken pipe')
_SILENT = ('Timed out waiting', 'collective operation timeout')
_PATIENCE = {'gone': 1.0, 'silent': 3.0}  # seconds in which all notice it


class LostProcessError(RuntimeError):
    """Another process of the run is gone or silent; the text names it."""


def name_lost(error: Exception, step: int) -> str | None:
    """Say which processes an exchange failed for.

    All that notice a failure say so in the store through which the processes found each
    other: those that do not are the lost ones.

    Args:
        error: What an exchange raised.
        step: Of the run, from 1.

    Returns:
        One line; None if it is an error of another kind.
    """
    rank, processes = get_dist_info()
    kind = _kind(str(error))
    if processes == 1 or not kind:
        return None
    try:
        store = distributed.distributed_c10d._get_default_store()
        store.set(f'ccmim_left_{rank}', '')
        time.sleep(_PATIENCE[kind])
        lost = [r for r in range(processes) if not store.check([f'ccmim_left_{r}'])]
    except RuntimeError:
        lost = [0]  # which has the store, where no launcher has
    names = ', '.join(map(str, lost)) or 'unknown'
    return (
        f'process {rank} on {socket.gethostname()} cannot go on at step {step}: of '
        f'{processes} processes, {names} {"are" if len(lost) > 1 else "is"} {kind}. '
        'Look for its own error above; resume from the last checkpoint'
    )


def _kind(text: str) -> str | None:
    if any(sign in text for sign in _SILENT):
        return 'silent'
    return 'gone' if any(sign in text for sign in _GONE) else None
