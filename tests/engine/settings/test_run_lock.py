"""One run at a time in a work dir, and none is kept out by the dead."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from ccmim.engine.signals import run_lock
from ccmim.engine.signals.run_lock import LOCK, RunLock

HOLDER = """
import sys, time
from ccmim.engine.signals.run_lock import RunLock
lock = RunLock(sys.argv[1])
lock.take()
print('taken', flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(request, tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', HOLDER, str(tmp_path)],
        env={**os.environ, 'PYTHONPATH': str(request.config.rootpath)},
        stdout=subprocess.PIPE,
        text=True,
    )
    while 'taken' not in (line := process.stdout.readline()):
        assert line, process.wait()
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_second_run_is_refused_until_the_first_is_dead(holder, tmp_path):
    name = socket.gethostname()
    message = f'{tmp_path} is used by pid {holder.pid} on host {name}: wait'
    with pytest.raises(ValueError, match=message):
        RunLock(tmp_path).take()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    lock = RunLock(tmp_path)
    lock.take()
    assert (tmp_path / LOCK).read_text() == f'pid {os.getpid()} on host {name}\n'
    lock.release()
    assert not (tmp_path / LOCK).exists()


def test_a_released_lock_can_be_taken_again(tmp_path):
    for _ in range(2):
        lock = RunLock(tmp_path)
        lock.take()
        lock.release()
        lock.release()


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(run_lock.fcntl, 'lockf', refuse)
    RunLock(tmp_path).take()
    RunLock(tmp_path).take()
