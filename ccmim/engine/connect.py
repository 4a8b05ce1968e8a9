"""Connect the processes that a launcher has started."""

import atexit
import os
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import init_dist
from mmengine.utils.dl_utils import set_multi_processing

from ccmim.engine.launchers import adopt_launcher
from ccmim.engine.peers import PeerError, Peers, time_to_meet

_BROKEN = re.compile('gloo|NCCL|closed by peer|Connection reset', re.IGNORECASE)
_TO_REPORT = 3  # seconds
_peers: Peers | None = None


def connect(launcher: str, settings: Mapping[str, Any]) -> None:
    """Connect the processes: through NCCL on GPUs, through gloo elsewhere.

    Args:
        launcher: 'pytorch', 'slurm' or 'mpi'.
        settings: ``env_cfg`` of a config; its ``dist_cfg`` and ``mp_cfg`` count.

    Raises:
        ValueError: If the launcher has not started this process, or not as many as
            there are GPUs.
        PeerError: If the others do not come, or cannot be reached.
    """
    global _peers
    adopt_launcher(launcher)
    if torch.cuda.is_available():
        _choose_gpu(launcher)
    peers = _peers = Peers(time_to_meet())
    _choose_interface(peers)
    peers.wait()
    group = dict(settings.get('dist_cfg') or {})
    rendezvous: dict[str, Any] = dict(
        store=peers.raw, rank=peers.rank, world_size=peers.size
    )
    try:
        if torch.cuda.is_available():
            # As mmengine's Runner would, which comes too late for the checks.
            set_multi_processing(**settings.get('mp_cfg', {}), distributed=True)
            init_dist('pytorch', **group, **rendezvous)
        else:  # mmengine would select a GPU
            seconds = group.get('timeout')
            timeout = timedelta(seconds=seconds) if seconds else None
            torch.distributed.init_process_group('gloo', timeout=timeout, **rendezvous)
    except RuntimeError as error:
        raise PeerError(
            f'{peers.me} and the others cannot be connected: set GLOO_SOCKET_IFNAME, '
            'and with GPUs NCCL_SOCKET_IFNAME, to the interface of the network that '
            f'the hosts share (ip -br address shows them): {_last_words(error)}'
        ) from error


def explain_loss(error: Exception) -> str:
    """Explain a broken connection by the process that is gone.

    Args:
        error: What ended the run on this process.

    Returns:
        One line; empty if the error is another one.
    """
    is_of_torch = isinstance(error, RuntimeError)
    if _peers is None or not is_of_torch or not _BROKEN.search(str(error)):
        return ''
    gone = _peers.find_lost() or 'the connection to the other processes broke'
    return (
        f'{gone}. Resume with --resume; env_cfg.dist_cfg.timeout sets for how many '
        f'seconds processes wait for each other in training: {_last_words(error)}'
    )


def report_failure(text: str) -> None:
    """Report to the other processes why this one ends, wherever they are.

    Args:
        text: One line.
    """
    global _peers
    if int(os.environ.get('WORLD_SIZE') or 1) < 2:
        return
    try:
        if _peers is None:
            _peers = Peers(_TO_REPORT, leaves=True)
            if _peers.is_host:  # the word is gone with this process
                atexit.register(time.sleep, _TO_REPORT)
        _peers.report_failure(text)
    except (PeerError, ValueError, KeyError, RuntimeError):
        pass  # they are gone


def _choose_gpu(launcher: str) -> None:
    """Refuse more processes than GPUs; give process N of a host GPU N."""
    gpus = torch.cuda.device_count()
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    given = int(os.environ.get('SLURM_GPUS_ON_NODE') or 0)
    if launcher == 'slurm' and gpus == 1 and given >= processes:
        os.environ['LOCAL_RANK'] = '0'  # Slurm shows each process its own alone
    elif processes > gpus:
        raise ValueError(
            f'{processes} processes were started for {gpus} GPUs: start one for each '
            'GPU'
        )


def _choose_interface(peers: Peers) -> None:
    """Let gloo use the interface that routes to the other hosts."""
    if os.environ.get('LOCAL_WORLD_SIZE', '1') == os.environ['WORLD_SIZE']:
        return
    given = os.environ.get('GLOO_SOCKET_IFNAME')
    if peers.interface and not peers.is_inner:
        os.environ.setdefault('GLOO_SOCKET_IFNAME', peers.interface)
    if os.environ.get('LOCAL_RANK', '0') == '0':
        why = 'GLOO_SOCKET_IFNAME' if given else 'the way to MASTER_ADDR'
        print(
            f'{peers.me} takes the interface {peers.interface or "of its name"} '
            f'({why})',
            flush=True,
        )


def _last_words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r'^\[[^\]]*\]\s*', '', lines[0])[:200] if lines else ''
