"""What processes say of each other: who has not come, who refuses, who is gone."""

import os
import re
import socket
from threading import Thread

import pytest

from ccmim.engine import connect, network, peers
from ccmim.engine.peers import PeerError, Peers, time_to_meet

HOST = socket.gethostname()


@pytest.fixture
def meet(monkeypatch):
    """Make a function that is process N of three; all of them live in this one."""
    monkeypatch.setattr(peers, '_ROLL_CALL', 1.0)
    monkeypatch.setattr(peers, '_LOOK', 0.01)
    with socket.socket() as taken:
        taken.bind(('', 0))
        port = taken.getsockname()[1]

    def meet(rank, limit=10, **changes):
        values = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), RANK=str(rank))
        monkeypatch.setattr(os, 'environ', dict(values, WORLD_SIZE='3', **changes))
        return Peers(limit)

    return meet


def _side_by_side(*calls):
    found = {}
    threads = [
        Thread(target=lambda i=i, call=call: found.update({i: call()}))
        for i, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[i] for i in range(len(calls))]


def test_all_come(meet):
    three = [meet(rank) for rank in range(3)]
    assert _side_by_side(*(one.wait for one in three)) == [None] * 3


def test_those_who_do_not_come_are_named_in_time(meet):
    zero = meet(0, limit=1)
    two = meet(2, limit=1)
    for one, rank in ((zero, 0), (two, 2)):
        with pytest.raises(PeerError) as error:
            one.wait()
        assert re.fullmatch(
            rf'process {rank} on host {HOST} \(127.0.0.1\) waited 1 s at 127.0.0.1:\d+ '
            r'for process 1 of 3: .*MASTER_ADDR.*RDZV_TIMEOUT sets the seconds',
            str(error.value),
        )


def test_nobody_at_the_address(meet):
    with pytest.raises(PeerError) as error:
        meet(1, limit=1)
    text = f'process 1 on host {HOST} (127.0.0.1) found no process 0 at 127.0.0.1:'
    assert str(error.value).startswith(text)
    assert 'within 1 s: look at MASTER_ADDR and the port' in str(error.value)
    first = meet(0)
    with pytest.raises(PeerError, match='is in use: set MASTER_PORT to another port'):
        meet(0)
    del first


def test_who_refuses_is_heard_before_all_have_come(meet):
    zero, one = meet(0), meet(1)
    one.report_failure('no such config')
    with pytest.raises(PeerError) as error:
        zero.wait()
    text = f'process 1 on host {HOST} (127.0.0.1) ended: no such config'
    assert str(error.value) == text


def test_a_loopback_address_among_others_is_refused(meet, monkeypatch):
    zero = meet(0)
    monkeypatch.setattr(peers, 'own_address', lambda *_: ('10.0.0.2', 'eth7'))
    others = [meet(rank) for rank in (1, 2)]

    def text(one):
        try:
            one.wait()
        except PeerError as error:
            return str(error)

    texts = _side_by_side(*(lambda one=one: text(one) for one in (zero, *others)))
    assert len(set(texts)) == 1
    said = f'process 0 on host {HOST} (127.0.0.1) cannot be reached from other hosts'
    assert texts[0].startswith(said)
    assert 'set GLOO_SOCKET_IFNAME there, and with GPUs NCCL_SOCKET_IFNAME' in texts[0]


def test_who_is_gone(meet, monkeypatch):
    zero, one, _ = (meet(rank) for rank in range(3))
    gone = f'process 2 on host {HOST} (127.0.0.1) is gone or does not answer; its own'
    for text in _side_by_side(zero.find_lost, one.find_lost):
        assert text.startswith(gone)
    monkeypatch.setattr(connect, '_peers', zero)
    for error in (RuntimeError('a bug'), PeerError('set GLOO_SOCKET_IFNAME')):
        assert connect.explain_loss(error) == ''
    closed = RuntimeError('[x.cc:5] Connection closed by peer [y]:1')
    text = connect.explain_loss(closed)
    assert text.startswith(gone)
    assert 'Resume with --resume' in text
    assert text.endswith(': Connection closed by peer [y]:1')


def test_an_error_of_its_own_is_passed_on(meet):
    zero, one, two = (meet(rank) for rank in range(3))
    one.report_failure('KeyError: x')
    text = f'process 1 on host {HOST} (127.0.0.1) ended: KeyError: x'
    assert _side_by_side(zero.find_lost, two.find_lost) == [text, text]


@pytest.mark.parametrize('text', ['0', '-1', '1.5', 'long'])
def test_a_time_that_is_none(monkeypatch, text):
    monkeypatch.setenv('RDZV_TIMEOUT', text)
    with pytest.raises(PeerError, match=f'RDZV_TIMEOUT={text} must be a whole number'):
        time_to_meet()


def test_the_own_address(monkeypatch):
    monkeypatch.delenv('GLOO_SOCKET_IFNAME', raising=False)
    assert network.own_address('127.0.0.1', 1) == ('127.0.0.1', 'lo')
    with pytest.raises(ValueError, match='MASTER_ADDR=no.such.host cannot be reached'):
        network.own_address('no.such.host', 1)
    monkeypatch.setenv('GLOO_SOCKET_IFNAME', 'lo,eth0')
    assert network.own_address('10.0.0.1', 1) == ('127.0.0.1', 'lo')
    monkeypatch.setenv('GLOO_SOCKET_IFNAME', 'eth77')
    with pytest.raises(ValueError, match='eth77 is no interface .*: it has .*lo'):
        network.own_address('10.0.0.1', 1)
