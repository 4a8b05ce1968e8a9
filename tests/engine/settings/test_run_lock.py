"""One run at a time in a work dir, and none is kept out by the dead."""

import os
import signal
import socket
import subprocess
import sys
import time

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
def test_a_second_run_is_refused_until_the_first_is_dead(holder, tmp_path, capsys):
    name = socket.gethostname()
    message = f'{tmp_path} is used by pid {holder.pid} on host {name}: wait'
    with pytest.raises(ValueError, match=message):
        RunLock(tmp_path).take()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    lock = RunLock(tmp_path)
    lock.take()
    assert f'Taking over {tmp_path} from pid {holder.pid}' in capsys.readouterr().out
    assert (tmp_path / LOCK).read_text() == f'{os.getpid()} {name}\n'
    lock.release()
    assert not (tmp_path / LOCK).exists()


def test_a_released_lock_can_be_taken_again(tmp_path, capsys):
    for _ in range(2):
        lock = RunLock(tmp_path)
        lock.take()
        lock.release()
        lock.release()
    assert 'Taking over' not in capsys.readouterr().out


def _left(tmp_path, host, age):
    (tmp_path / LOCK).write_text(f'812 {host}\n')
    os.utime(tmp_path / LOCK, (time.time() - age,) * 2)


def test_a_run_of_another_host_counts_while_it_gives_signs_of_life(tmp_path):
    _left(tmp_path, 'elsewhere', age=60)
    with pytest.raises(ValueError, match='pid 812 on host elsewhere, alive 60 s ago'):
        RunLock(tmp_path).take()
    assert (tmp_path / LOCK).read_text() == '812 elsewhere\n'
    _left(tmp_path, 'elsewhere', age=700)
    RunLock(tmp_path).take()
    assert (tmp_path / LOCK).read_text().startswith(f'{os.getpid()} ')


def test_where_the_file_system_has_no_locks_the_process_is_looked_for(
    tmp_path, monkeypatch
):
    def refuse(*_):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr(run_lock.fcntl, 'lockf', refuse)
    (tmp_path / LOCK).write_text(f'{os.getpid()} {socket.gethostname()}\n')
    with pytest.raises(ValueError, match=f'is used by pid {os.getpid()}'):
        RunLock(tmp_path).take()
    (tmp_path / LOCK).write_text(f'99999999 {socket.gethostname()}\n')
    RunLock(tmp_path).take()


def test_signs_of_life_are_given_from_time_to_time(tmp_path, monkeypatch):
    lock = RunLock(tmp_path)
    lock.beat()  # not taken yet
    lock.take()
    os.utime(tmp_path / LOCK, (0, 0))
    lock.beat()
    assert (tmp_path / LOCK).stat().st_mtime == 0
    monkeypatch.setattr(run_lock, '_BEAT', 0)
    lock.beat()
    assert time.time() - (tmp_path / LOCK).stat().st_mtime < 60
    lock.release()
