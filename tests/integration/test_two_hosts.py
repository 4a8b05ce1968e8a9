"""Two network namespaces as two hosts: they train as one, and nobody waits for ever."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import torch

from tests import processes
from tests.short_runs import short_config

pytestmark = [pytest.mark.dist, pytest.mark.slow]
CHANGES = {
    'custom_imports.imports': ['trouble'],
    'train_cfg.max_epochs': 4,
    'optim_wrapper.dtype': 'float32',
}
TROUBLE = """
import os, signal
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from ccmim.registry import HOOKS

@HOOKS.register_module()
class TroubleHook(Hook):
    '''One process dies once at the seventh step, or with its launcher.'''
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        file = os.environ.get('TROUBLE')
        if not file or runner.iter != 6 or get_rank() != 1 or os.path.exists(file):
            return
        open(file, 'w').close()
        if os.environ.get('MAX_RESTARTS') is None:
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def _ip(*words):
    return subprocess.run(['ip', *words], check=True, capture_output=True, text=True)


@pytest.fixture(scope='module')
def hosts():
    """Make two network namespaces, joined by a cable; their names."""
    if os.getuid() or not shutil.which('ip') or not shutil.which('unshare'):
        pytest.skip('needs root, iproute2 and unshare')
    names = [f'ccmim{os.getpid()}h{i}' for i in (1, 2)]
    try:
        for name in names:
            _ip('netns', 'add', name)
        _ip(
            *('link', 'add', 'cable1', 'netns', names[0], 'type', 'veth'),
            *('peer', 'name', 'cable2', 'netns', names[1]),
        )
        for i, name in enumerate(names, 1):
            _ip('-n', name, 'address', 'add', f'10.9.0.{i}/24', 'dev', f'cable{i}')
            _ip('-n', name, 'link', 'set', f'cable{i}', 'up')
            _ip('-n', name, 'link', 'set', 'lo', 'up')
    except subprocess.CalledProcessError as error:
        pytest.skip(f'no network namespaces here: {error.stderr}')
    else:
        yield names
    finally:
        for name in names:
            subprocess.run(['ip', 'netns', 'delete', name], check=False)


class Node:
    """``tools/dist_train.sh`` on one of the hosts."""

    def __init__(self, process, log):
        self._process, self._log = process, log

    def end(self, limit=400):
        """Wait for the end; exit code and what was printed."""
        try:
            code = self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return code, self._log.read_text()

    def kill(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


@pytest.fixture
def start(hosts, image_folder, tmp_path):
    """Make a function that starts a node; the hosts are called h0 and h1."""
    cfg = short_config('pretrain/mae_vitb', tmp_path / 'run', image_folder, CHANGES)
    cfg.custom_hooks.append(dict(type='TroubleHook'))
    cfg.dump(tmp_path / 'config.py')
    (tmp_path / 'trouble.py').write_text(TROUBLE)
    nodes = []

    def start(rank, *words, work_dir='run', count=2, **changes):
        inner = f'hostname h{rank}; exec bash tools/dist_train.sh "$@"'
        log = tmp_path / f'log{len(nodes)}'
        words = [str(2 // count), '--work-dir', tmp_path / work_dir, *words]
        env = dict(PYTHONPATH=tmp_path, NNODES=count, NODE_RANK=rank, PORT=29611)
        env |= dict(MASTER_ADDR='10.9.0.1', RDZV_TIMEOUT=60) | changes
        with log.open('w') as file:
            process = processes.start(
                *('ip', 'netns', 'exec', hosts[rank], 'unshare', '--uts'),
                *('bash', '-c', inner, 'node', tmp_path / 'config.py', *words),
                env=env,
                stdout=file,
                start_new_session=True,
            )
        nodes.append(Node(process, log))
        return nodes[-1]

    yield start
    for node in nodes:
        node.kill()


def _weights(file):
    return torch.load(file, weights_only=False)['state_dict']


def _same(ours, theirs):
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


@pytest.fixture
def alone(start, tmp_path):
    """Train in two processes of one host; where the checkpoints are."""
    code, text = start(0, work_dir='alone', count=1).end()
    assert code == 0, text[-3000:]
    return tmp_path / 'alone'


def test_two_hosts_train_what_one_does_and_survive_losses(start, alone, tmp_path):
    """A lost host is named within seconds; with MAX_RESTARTS the run goes on."""
    trouble = tmp_path / 'killed'
    first, second = (start(rank, TROUBLE=str(trouble)) for rank in (0, 1))
    code, text = first.end()
    took = time.time() - trouble.stat().st_mtime
    print(f'ended {took:.1f} s after the other host')
    assert took < 40  # 6 where nothing else runs
    assert (code, second.end(5)[0]) == (1, -signal.SIGKILL)
    where = 'process 0 on host h0 (10.9.0.1) takes the interface cable1 (the way to M'
    assert where in text
    gone = r'^error: process 1 on host h1 \(10.9.0.2\) is gone or does not answer; its '
    gone += r'own error, .* is in the output of that host. Resume with --resume'
    assert re.search(gone, text, re.MULTILINE), text[-3000:]
    assert 'Traceback' not in text
    saved = _weights(alone / 'epoch_3.pth')
    assert _same(_weights(tmp_path / 'run/epoch_3.pth'), saved)

    trouble = tmp_path / 'killed again'
    options = dict(work_dir='elastic', TROUBLE=str(trouble), MAX_RESTARTS='1')
    for node in [start(rank, **options) for rank in (0, 1)]:
        code, text = node.end()
        assert code == 0, text[-3000:]
    assert trouble.exists()
    saved = _weights(alone / 'epoch_4.pth')
    assert _same(_weights(tmp_path / 'elastic/epoch_4.pth'), saved)


def test_when_one_refuses_the_other_ends(start):
    """Within seconds, and it says who and why."""
    first, second = start(0), start(1, '--cfg-options', 'modle=1')
    line = 'unknown key modle: did you mean model?'
    (code, text), (other_code, other) = first.end(), second.end()
    assert (code, other_code) == (2, 2)
    assert f'error: process 1 on host h1 (10.9.0.2) ended: {line}' in text
    assert f'error of process 1: {line}' in other


def test_a_host_that_is_alone_ends_in_time(start):
    mistyped = start(1, MASTER_ADDR='10.9.0.7', RDZV_TIMEOUT='2')
    unknown = start(1, MASTER_ADDR='no.such.host')
    lonely = start(0, RDZV_TIMEOUT='2')
    lines = [
        'error: host h1, NODE_RANK=1, did not meet all 2 machines at 10.9.0.7:29611 ',
        'error: MASTER_ADDR=no.such.host cannot be reached from host h1: ',
        'error: host h0, NODE_RANK=0, did not meet all 2 machines at 10.9.0.1:29611 ',
    ]
    for node, line in zip((mistyped, unknown, lonely), lines, strict=True):
        code, text = node.end()
        assert code == 2
        assert line in text
        assert 'Traceback' not in text
