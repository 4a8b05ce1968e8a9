"""The other processes of a run: wait for them, and detect which one is lost."""

import json
import os
import socket
import time
from datetime import timedelta
from itertools import groupby
from threading import Thread

from torch.distributed import DistError, PrefixStore, TCPStore

from ccmim.engine.network import is_loopback, own_address

_LIMIT = 600  # seconds that processes wait for each other at the start
_LOOK = 0.1  # seconds from one look at the others to the next
_ROLL_CALL = 5.0  # seconds in which those who are alive notice the same loss
_UNKNOWN = 'address unknown'
_HINT = 'its own error, if it wrote one, is in the output of that host'


class PeerError(Exception):
    """The processes of a run cannot work together; the text says why, and who."""


def time_to_meet() -> float:
    """Return how long processes wait for each other: RDZV_TIMEOUT, in seconds.

    Raises:
        PeerError: If it is no time.
    """
    text = os.environ.get('RDZV_TIMEOUT') or str(_LIMIT)
    if not text.isdecimal() or int(text) == 0:
        raise PeerError(f'RDZV_TIMEOUT={text} must be a whole number of seconds')
    return int(text)


class Peers:
    """Messages between the processes of a run, beside the training.

    They do it through the store at MASTER_ADDR:MASTER_PORT, which torchrun or process 0
    keeps, and which works where the connections of the training are broken.

    Args:
        limit: Seconds to wait for the store.
        leaves: Whether this process only leaves word, from whatever address.

    Raises:
        PeerError: If it does not answer in this time.
        ValueError: If its address cannot be right.
    """

    def __init__(self, limit: float, leaves: bool = False) -> None:
        master, port = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])
        self._where, self._limit = f'{master}:{port}', limit
        rank, self.size = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
        self.rank = rank
        try:
            address, self.interface = own_address(master, port)
        except ValueError:
            if not leaves:
                raise
            address, self.interface = _UNKNOWN, ''
        self.me = _describe([rank], socket.gethostname(), address)
        # torchrun keeps the store itself.
        agent = os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True'
        self.is_host = rank == 0 and not agent
        try:
            self.raw = TCPStore(
                master,
                port,
                is_master=self.is_host,
                timeout=timedelta(seconds=limit),
                wait_for_workers=False,
            )
        except RuntimeError as error:  # torch 2.6: no DistError
            raise PeerError(self._no_store(str(error))) from None
        self._store = PrefixStore('ccmim', self.raw)
        self._is_counted = False
        self._store.set(f'host/{rank}', json.dumps([socket.gethostname(), address]))
        self.is_inner = address != _UNKNOWN and is_loopback(address)
        if self.is_inner:
            self._store.add('loopback', 1)

    def wait(self) -> None:
        """Wait until all are here.

        Raises:
            PeerError: If some do not come, one has reported that it cannot continue, or
                the others could not reach one of them.
        """
        self._store.add('arrived', 1)
        end = time.monotonic() + self._limit
        try:
            while self._store.add('arrived', 0) < self.size:
                if self._store.check(['word']):
                    raise self._failure(self._text('word'))
                if time.monotonic() > end:
                    raise self._failure(self._missing())
                time.sleep(_LOOK)
            if 0 < self._store.add('loopback', 0) < self.size:
                raise self._failure(self._unreachable())
        except DistError:
            raise PeerError(
                f'{self.me}: process 0 at {self._where} ended before all had come; '
                f'{_HINT}'
            ) from None

    def report_failure(self, text: str) -> None:
        """Report to the others why this process ends."""
        if self._store.add('words', 1) == 1:
            self._store.set('word', f'{self.me} ended: {text}')
        self._answer()

    def find_lost(self) -> str:
        """Find out which process is gone, where the connections say that one is.

        Every process that is alive comes here within seconds, as all wait for all.

        Returns:
            The processes with their hosts; empty if all answer.
        """
        answers: list[str] = []
        thread = Thread(target=lambda: answers.append(self._ask()), daemon=True)
        thread.start()
        thread.join(3 * _ROLL_CALL)
        if answers:
            return answers[0]
        return f'process 0 at {self._where} is gone, or torchrun on its host; {_HINT}'

    def _failure(self, text: str) -> PeerError:
        if self.is_host:
            time.sleep(10 * _LOOK)  # the others find the same, with the store alone
        return PeerError(text)

    def _ask(self) -> str:
        self._answer()
        end = time.monotonic() + _ROLL_CALL
        while self._store.add('answers', 0) < self.size and time.monotonic() < end:
            time.sleep(_LOOK)
        # One process judges for all: the first that ends would be missed by the rest.
        if self._store.add('judges', 1) == 1:
            self._store.set('verdict', self._judge())
        self._store.wait(['verdict'], timedelta(seconds=_ROLL_CALL))
        return self._text('verdict')

    def _answer(self) -> None:
        if not self._is_counted:
            self._is_counted = True
            self._store.set(f'alive/{self.rank}', '')
            self._store.add('answers', 1)

    def _judge(self) -> str:
        if self._store.check(['word']):
            return self._text('word')
        silent = self._without('alive')
        if not silent:
            return ''
        verb = 'are gone or do' if len(silent) > 1 else 'is gone or does'
        return f'{self._name(silent)} {verb} not answer; {_HINT}'

    def _missing(self) -> str:
        absent = _ranks(self._without('host'))
        return (
            f'{self.me} waited {self._limit:.0f} s at {self._where} for {absent} of '
            f'{self.size}: start them too, with the same MASTER_ADDR and port, and '
            'look for an error there; RDZV_TIMEOUT sets the seconds'
        )

    def _unreachable(self) -> str:
        hosts = {rank: self._host(rank) for rank in range(self.size)}
        inner = [rank for rank, (_, address) in hosts.items() if is_loopback(address)]
        return (
            f'{self._name(inner)} cannot be reached from other hosts, as this is a '
            'loopback address: set GLOO_SOCKET_IFNAME there, and with GPUs '
            'NCCL_SOCKET_IFNAME, to the interface of the network (ip -br address), or '
            'MASTER_ADDR to an address in it'
        )

    def _no_store(self, why: str) -> str:
        if 'EADDRINUSE' in why:
            return f'{self._where} is in use: set MASTER_PORT to another port'
        return (
            f'{self.me} found no process 0 at {self._where} within {self._limit:.0f} '
            's: look at MASTER_ADDR and the port (MASTER_PORT, or PORT of '
            'tools/dist_train.sh), and whether process 0 runs there and a firewall '
            'lets it be reached; RDZV_TIMEOUT sets the seconds'
        )

    def _without(self, key: str) -> list[int]:
        return [r for r in range(self.size) if not self._store.check([f'{key}/{r}'])]

    def _host(self, rank: int) -> list[str]:
        return json.loads(self._store.get(f'host/{rank}'))

    def _name(self, ranks: list[int]) -> str:
        parts = groupby(ranks, self._host)
        return ' and '.join(_describe(list(group), *host) for host, group in parts)

    def _text(self, key: str) -> str:
        return self._store.get(key).decode()


def _describe(ranks: list[int], host: str, address: str) -> str:
    return f'{_ranks(ranks)} on host {host} ({address})'


def _ranks(ranks: list[int]) -> str:
    if len(ranks) == 1:
        return f'process {ranks[0]}'
    shown = ', '.join(map(str, ranks[:8]))
    return f'processes {shown}{", ..." if ranks[8:] else ""}'
