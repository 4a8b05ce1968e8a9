"""On a real Slurm of one host: two tasks train, are stopped, started again and tested.

Debian's packages slurm-wlm and munge give all that is needed; CI installs them.
"""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytestmark = [pytest.mark.dist, pytest.mark.slow]
NEEDED = ('munged', 'slurmctld', 'slurmd', 'srun', 'sbatch', 'scontrol')
# A requeued job waits for cred_expire, and that is at least five seconds.
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port0}
SlurmdPort={port1}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
CONFIG = """
_base_ = '{root}/mm_configs/small/finetune_vitt_cifar10.py'
custom_imports = dict(imports=['slow'])
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dim=32, depth=1, num_heads=2)),
    head=dict(num_classes=2),
)
train_dataloader = dict(batch_size=2, num_workers=0, dataset=dict(data='{data}'))
val_dataloader = dict(batch_size=4, num_workers=0, dataset=dict(data='{data}'))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=8, val_interval=8)
custom_hooks = [dict(type='SlowHook')]
"""
PROBE = """
_base_ = '{root}/mm_configs/small/knn_vitt_cifar10.py'
model = dict(
    backbone=dict(arch=dict(_delete_=True, embed_dim=32, depth=1, num_heads=2)),
)
val_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(data='{data}')
)
train_dataloader = val_dataloader
test_dataloader = val_dataloader
"""
SLOW = """
import os, time
from mmengine.hooks import Hook
from ccmim.registry import HOOKS

@HOOKS.register_module()
class SlowHook(Hook):
    '''Leaves time to be stopped in, in the first two of three starts.'''
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        starts = os.environ.get('SLURM_RESTART_COUNT', '0')
        late = runner.iter > (12, 24, 99)[int(starts)]
        if 'SLOW' in os.environ and late:
            time.sleep(0.5)
"""
SCRIPT = """#!/bin/bash
cd {folder}
srun "$CCMIM_PYTHON" {root}/tools/train.py config.py --work-dir stopped --resume
echo "ended with $?"
# The first start was asked to stop by SIGUSR1, the second by requeueing it.
[[ ${{SLURM_RESTART_COUNT:-0}} != 0 ]] || scontrol requeue "$SLURM_JOB_ID"
[[ ${{SLURM_RESTART_COUNT:-0}} == 2 ]] || sleep 60
echo "the job is done"
"""


def _free_port():
    with socket.socket() as taken:
        taken.bind(('', 0))
        return taken.getsockname()[1]


@pytest.fixture(scope='module')
def slurm():
    """Start munge, slurmctld and slurmd in a folder of their own."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing or os.getuid():
        pytest.skip(
            f'user {getpass.getuser()}, without {missing}: needs root and Slurm'
        )
    folder = Path(tempfile.mkdtemp(prefix='slurm'))
    folder.chmod(0o711)  # munge's socket must be open to all
    for name in ('state', 'spool', 'private'):
        (folder / name).mkdir(mode=0o700)
    key = folder / 'private/munge.key'
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().partition('.')[0]
    settings = folder / 'slurm.conf'
    ports = dict(port0=_free_port(), port1=_free_port())
    settings.write_text(SETTINGS.format(folder=folder, host=host, **ports))
    private = folder / 'private'
    daemons = [
        [
            'munged', '--foreground', f'--key-file={key}',
            f'--socket={folder}/munge.socket', f'--pid-file={private}/munge.pid',
            f'--log-file={private}/munge.log', f'--seed-file={private}/munge.seed',
        ],
        ['slurmctld', '-D', '-f', settings],
        ['slurmd', '-D', '-f', settings],
    ]  # fmt: skip
    env = {
        **os.environ,
        'SLURM_CONF': str(settings),
        'CCMIM_PYTHON': sys.executable,
        'OMP_NUM_THREADS': '1',
        'GPUS': '2',
        'CPUS_PER_TASK': '1',
    }
    running = []
    try:
        for words in daemons:
            log = open(folder / f'{words[0]}.log', 'w')  # noqa: SIM115
            running.append(
                subprocess.Popen(words, env=env, stdout=log, stderr=log, close_fds=True)
            )
            _wait(lambda: (folder / 'munge.socket').exists(), 10)
        ready = ['sinfo', '--noheader', '--format=%T']
        _wait(lambda: b'idle' in subprocess.run(
            ready, env=env, capture_output=True, check=False).stdout, 20)  # fmt: skip
        yield env
    finally:
        for daemon in reversed(running):
            daemon.terminate()
        for daemon in running:
            daemon.wait(20)
        shutil.rmtree(folder)


def _wait(is_true, limit):
    end = time.monotonic() + limit
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope='module')
def place(slurm, request, tmp_path_factory):
    """Make a config and its pictures; run a command of the checkout in that Slurm."""
    folder = tmp_path_factory.mktemp('cluster')
    rng = np.random.default_rng(0)
    for name in ('cat', 'dog'):
        (folder / 'pictures' / name).mkdir(parents=True)
        for i in range(12):  # k-NN wants twenty
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / 'pictures' / name / f'{i}.png')
    root = request.config.rootpath
    text = CONFIG.format(root=root, data=folder / 'pictures')
    (folder / 'config.py').write_text(text)
    (folder / 'slow.py').write_text(SLOW)
    (folder / 'probe.py').write_text(PROBE.format(root=root, data=folder / 'pictures'))
    env = {**slurm, 'PYTHONPATH': f'{root}:{folder}'}

    def command(*words, **changes):
        if str(words[0]).endswith('.sh'):
            words = ('bash', f'tools/{words[0]}', *words[1:])
        done = subprocess.run(
            [str(word) for word in words],
            cwd=root,
            env={**env, **changes},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return folder, command, root


@pytest.fixture(scope='module')
def trained(place):
    """Let two tasks train without a stop; the checkpoint, and what was printed."""
    folder, command, _ = place
    words = ('slurm_train.sh', 'debug', 'test', folder / 'config.py', folder / 'run')
    code, text = command(*words)
    assert code == 0, text[-3000:]
    return folder / 'run/epoch_8.pth', text


def test_a_job_that_is_stopped_and_requeued_resumes_bit_for_bit(place, trained):
    """Once by SIGUSR1, once by ``scontrol requeue``, which sends SIGTERM."""
    folder, command, root = place
    log, script = folder / 'job.log', folder / 'job.sh'
    script.write_text(SCRIPT.format(folder=folder, root=root))
    options = ('--parsable', '--ntasks=2', '--requeue', '--open-mode=append')
    code, text = command('sbatch', *options, f'--output={log}', script, SLOW='1')
    assert code == 0, text
    job = text.strip()

    def count(words):
        return log.read_text().count(words) if log.exists() else 0

    _wait(lambda: count('Saving checkpoint epoch_2.pth'), 300)
    assert command('scancel', '--signal=USR1', job)[0] == 0
    _wait(lambda: count('ended with 0'), 300)
    _wait(lambda: count('Saving checkpoint epoch_4.pth'), 300)
    assert command('scontrol', 'requeue', job)[0] == 0
    _wait(lambda: count('the job is done'), 300)
    text = log.read_text()
    assert text.count('Stopped by SIGUSR1 after step') == 1
    assert text.count('Stopped by SIGTERM after step') == 1
    ours, straight = (
        torch.load(file, weights_only=False)['state_dict']
        for file in (folder / 'stopped/epoch_8.pth', trained[0])
    )
    assert ours.keys() == straight.keys()
    assert all(torch.equal(ours[name], straight[name]) for name in ours)


def test_two_tasks_share_the_batch_and_the_test(place, trained):
    folder, command, _ = place
    file, text = trained
    assert 'Effective batch 4 = 2 a process x 2 processes' in text
    words = (folder / 'config.py', file, '--out', folder / 'metrics.json')
    code, text = command('slurm_test.sh', 'debug', 'test', *words)
    assert code == 0, text[-3000:]
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert metrics.keys() == {'accuracy/top1', 'accuracy/top5'}
    assert text.count('metrics written to') == 1


def test_slurms_own_words_come_through(place):
    folder, command, _ = place
    for script in ('slurm_train.sh', 'slurm_test.sh'):
        code, text = command(script, 'nowhere', 'test', folder / 'config.py', 'x.pth')
        assert code != 0
        assert 'invalid partition specified: nowhere' in text
    words = ('slurm_train.sh', 'debug', 'test', folder / 'config.py')
    code, text = command(*words, GRES='gpu:2')
    assert code != 0
    assert 'Invalid generic resource (gres) specification' in text


def test_a_batch_script_is_one_process_and_no_task_of_two(place):
    """Slurm gives it a number as well; srun alone starts tasks."""
    folder, command, _ = place
    look = (
        'import runpy\n'
        'found = runpy.run_path("ccmim/engine/launchers.py")\n'
        'print(found["find_launcher"]())\n'
        'found["adopt_launcher"]("slurm")'
    )
    script = folder / 'alone.sh'
    script.write_text(f"#!/bin/bash\n$CCMIM_PYTHON -c '{look}'\n")
    log = folder / 'alone.log'
    command('sbatch', '--wait', '--ntasks=2', f'--output={log}', script)
    text = log.read_text()
    assert text.startswith('none\n')
    assert '--launcher slurm is for processes that were started together' in text
    code, text = command('srun', '-n2', sys.executable, '-c', look)
    assert (code, text) == (0, 'slurm\nslurm\n')


def test_seeds_are_compared_by_a_job_array(place):
    folder, command, _ = place
    code, text = command(
        *(sys.executable, 'tools/compare.py', '--slurm', '-p debug', '--seeds', '3'),
        *('5', '--arms', 'random', '--tasks', f'toy={folder}/probe.py'),
        *('--out', folder / 'out'),
    )
    logs = sorted((folder / 'out/slurm').glob('*.log'))
    assert code == 0, text + ''.join(log.read_text() for log in logs)
    assert [log.stem.partition('_')[2] for log in logs] == ['0', '1']
    assert 'random, seed 3: toy' in logs[0].read_text()
    assert 'random, seed 5: toy' in logs[1].read_text()
    assert len((folder / 'out/scores.csv').read_text().splitlines()) > 2
