"""One of two processes dies, fails or hangs: the other ends soon."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from ccmim.checkpoints import choose_resume
from tests import processes
from tests.short_runs import short_config

pytestmark = [pytest.mark.dist, pytest.mark.slow]
TRAIN = 'tools/dist_train.sh'
TIMEOUT = 6  # seconds that a process waits for another
KILLED_AFTER = 45  # seconds after that, in which torchrun ends a process that hangs

CHANGES = {
    'custom_imports.imports': ['trouble'],
    'train_dataloader.num_workers': 1,
    'train_cfg.max_epochs': 10000,
    'env_cfg.dist_cfg.timeout': TIMEOUT,
}
TROUBLE = """
import os, pathlib
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from ccmim.registry import HOOKS

@HOOKS.register_module()
class TroubleHook(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 6 and get_rank() == 1:
            pathlib.Path('{folder}/pid').write_text(str(os.getpid()))
            if os.environ['TROUBLE'] == 'raise':
                raise KeyError('the sky is falling')
"""


@pytest.fixture
def start(image_folder, tmp_path):
    """Start two processes under torchrun; the launcher, and the second one's number."""
    cfg = short_config('pretrain/ccmim_vitb', tmp_path / 'run', image_folder, CHANGES)
    cfg.custom_hooks.append(dict(type='TroubleHook'))
    cfg.dump(tmp_path / 'config.py')
    (tmp_path / 'trouble.py').write_text(TROUBLE.format(folder=tmp_path))
    launchers = []

    def begin(trouble, wait=True):
        words = [tmp_path / 'config.py', '2', '--work-dir', tmp_path / 'run']
        env = dict(PYTHONPATH=tmp_path, TROUBLE=trouble)
        launcher = processes.start('bash', TRAIN, *words, env=env)
        launchers.append(launcher)
        deadline = time.monotonic() + 120
        if not wait:
            while len(_children(launcher.pid)) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            return launcher, _children(launcher.pid)[1]
        pid = tmp_path / 'pid'
        while not (pid.is_file() and pid.read_text()):
            assert launcher.poll() is None, launcher.communicate()[0][-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return launcher, int(pid.read_text())

    yield begin
    for launcher in launchers:
        launcher.kill()


def _children(pid):
    found = Path(f'/proc/{pid}/task/{pid}/children')
    trains = []
    for child in found.read_text().split() if found.exists() else ():
        with contextlib.suppress(OSError):
            if b'train.py' in Path(f'/proc/{child}/cmdline').read_bytes():
                trains.append(int(child))
    return trains


def _wait_for_end(pids, limit):
    deadline = time.monotonic() + limit
    while any(Path(f'/proc/{pid}/cmdline').exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ('name', 'code', 'wait'),
    [('SIGUSR1', 0, True), ('SIGTERM', 143, True), ('SIGHUP', 129, False)],
)
def test_a_signal_to_the_launcher_is_passed_on(start, tmp_path, name, code, wait):
    """During the start as well: the first step is saved."""
    launcher, _ = start('none', wait)
    ranks = _children(launcher.pid)
    launcher.send_signal(getattr(signal, name))
    text, _ = launcher.communicate(timeout=180)
    assert launcher.returncode == code, text[-3000:]
    assert f'Stopped by {name} after step' in text
    assert 'Traceback' not in text
    (file,) = (tmp_path / 'run').glob('epoch_*_iter_*.pth')
    assert choose_resume(tmp_path / 'run') == str(file)
    _wait_for_end(ranks, 5)


@pytest.mark.parametrize(('name', 'code'), [('SIGUSR1', 0), ('SIGHUP', 129)])
def test_a_signal_to_the_launcher_before_it_has_begun(name, code):
    """It waits until all is imported, and then nothing is started."""
    launcher, number = (
        processes.start('bash', TRAIN, 'none.py', 2),
        getattr(signal, name),
    )
    status, deadline = Path(f'/proc/{launcher.pid}/status'), time.monotonic() + 60
    blocked = 0
    while not blocked & 1 << (number - 1):
        assert time.monotonic() < deadline
        blocked = int(re.search(r'SigBlk:\s(\w+)', status.read_text())[1], 16)
    launcher.send_signal(number)
    assert launcher.communicate(timeout=60)[0] == ''
    assert launcher.returncode == code


def test_processes_end_with_their_launcher(start, tmp_path):
    """They save, as at any SIGTERM, and leave the folder free."""
    launcher, _ = start('none')
    ranks = _children(launcher.pid)
    assert len(ranks) == 2
    launcher.kill()
    _wait_for_end(ranks, 60)
    assert not (tmp_path / 'run' / 'run.lock').exists()
    assert list((tmp_path / 'run').glob('epoch_*_iter_*.pth'))


def _end(launcher, limit):
    started = time.monotonic()
    text, _ = launcher.communicate(timeout=limit)
    assert launcher.returncode != 0
    print(f'ended after {time.monotonic() - started:.1f} s')
    return text


@pytest.mark.parametrize('trouble', ['kill', 'raise'])
def test_a_process_that_ends(start, trouble):
    """Within seconds where nothing else runs; the limit is for a busy machine."""
    launcher, pid = start(trouble)
    if trouble == 'kill':
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
    text = _end(launcher, 30)
    if trouble == 'kill':
        assert 'error: process 1 was ended by SIGKILL' in text
    else:  # where it happened, and in which process
        assert re.search(r"rank1\]: +raise KeyError\('the sky is falling'\)", text)
        assert "rank1]: KeyError: 'the sky is falling'" in text


def test_a_process_that_hangs(start):
    launcher, pid = start('stop')
    time.sleep(0.5)
    os.kill(pid, signal.SIGSTOP)
    _end(launcher, TIMEOUT + KILLED_AFTER)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
