"""What the launchers hand to torchrun and srun, with stubs in their place."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Stands for a Python: tells the GPUs, finds a port, and records any other call.
PYTHON = f"""#!/usr/bin/env bash
case "$*" in
  *device_count*) [[ ${{STUB_GPUS:-0}} != broken ]] && echo "${{STUB_GPUS:-0}}" ;;
  *socket*) exec {sys.executable} "$@" ;;
  *) printf '%s\\n' "$0" "$@" >"$STUB_RECORD"
     printf '%s=%s\\n' OMP "${{OMP_NUM_THREADS:-}}" PYTHONPATH "${{PYTHONPATH:-}}" \\
       PORT "${{MASTER_PORT:-}}" >"$STUB_RECORD.env" ;;
esac
"""


class Shell:
    """A copy of the scripts, and stubs of the programs that they start."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.bin = folder / 'checkout', folder / 'bin'
        self.record, self.work = folder / 'record', folder / 'work'
        shutil.copytree(ROOT / 'tools', self.checkout / 'tools')
        self.work.mkdir()
        self.bin.mkdir()
        self.stub('python', PYTHON)
        self.stub('srun', PYTHON)
        self.stub('sinfo', '#!/bin/sh\necho "${STUB_GRES:-gpu:a100:8(S:0-1)}"\n')
        self.stub('nproc', '#!/bin/sh\necho 8\n')

    def stub(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run(self, script: str, *args: str, **env: str) -> subprocess.CompletedProcess:
        kept = {'PATH': f'{self.bin}:{os.environ["PATH"]}', 'HOME': str(self.work)}
        return subprocess.run(
            ['bash', str(self.checkout / 'tools' / script), *args],
            env={**kept, 'STUB_RECORD': str(self.record), **env},
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def called(self) -> list[str]:
        """Program and arguments of the recorded call."""
        return self.record.read_text().splitlines()

    def environment(self) -> dict[str, str]:
        lines = Path(f'{self.record}.env').read_text().splitlines()
        return dict(line.split('=', 1) for line in lines)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def values(arguments: list[str], *names: str) -> list[str]:
    """What the options `--name=value` among the arguments say."""
    found = [text[2:].partition('=') for text in arguments if text.startswith('--')]
    options = {name: value for name, _, value in found}
    return [options[name] for name in names]


def test_dist_train_starts_torchrun_with_the_config_and_the_launcher(shell):
    done = shell.run('dist_train.sh', 'a b.py', '2', '--cfg-options', 'x=1 2')
    assert done.returncode == 0, done.stderr
    call = shell.called()
    assert call[0] == str(shell.bin / 'python')
    assert call[1] == str(shell.checkout / 'tools/torchrun.py')
    script = str(shell.checkout / 'tools/train.py')
    assert call[call.index(script) :] == [
        *(script, 'a b.py', '--launcher', 'pytorch', '--cfg-options', 'x=1 2')
    ]
    assert values(call, 'nproc_per_node', 'nnodes', 'node_rank') == ['2', '1', '0']
    assert values(call, 'master_addr') == ['127.0.0.1']
    assert shell.environment()['PYTHONPATH'] == str(shell.checkout)


def test_dist_test_puts_the_checkpoint_behind_the_config(shell):
    done = shell.run('dist_test.sh', 'c.py', 'c.pth', '3', '--out', 'f.json')
    assert done.returncode == 0, done.stderr
    call = shell.called()
    script = str(shell.checkout / 'tools/test.py')
    assert call[call.index(script) + 1 :] == [
        *('c.py', 'c.pth', '--launcher', 'pytorch', '--out', 'f.json')
    ]
    assert values(call, 'nproc_per_node') == ['3']


def test_the_port_is_free_by_default(shell):
    shell.run('dist_train.sh', 'c.py', '2')
    (port,) = values(shell.called(), 'master_port')
    with socket.socket() as taken:
        taken.bind(('', int(port)))


def test_several_machines_agree_on_the_port_and_know_their_rank(shell):
    nodes = {'NNODES': '4', 'NODE_RANK': '3', 'MASTER_ADDR': '10.0.0.1'}
    for given, port in (({}, '29500'), ({'PORT': '4321'}, '4321')):
        shell.run('dist_train.sh', 'c.py', '2', **given, **nodes)
        found = values(shell.called(), 'master_port', 'nnodes', 'node_rank')
        assert found == [port, '4', '3']
        assert values(shell.called(), 'master_addr') == ['10.0.0.1']


@pytest.mark.parametrize('nodes', [{}, {'NNODES': '2', 'MASTER_ADDR': '127.0.0.1'}])
def test_a_port_in_use_is_one_line_and_exit_2(shell, nodes):
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = shell.run('dist_train.sh', 'c.py', '2', PORT=port, **nodes)
        assert done.returncode == 2
        assert done.stderr == (
            f'port {port} of this machine is in use or no port: set PORT to another '
            'one\n'
        )
        assert not shell.record.exists()
        # They meet on the first machine: on the others it may well be in use.
        later = {'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': '10.0.0.1'}
        done = shell.run('dist_train.sh', 'c.py', '2', PORT=port, **later)
        assert done.returncode == 0


@pytest.mark.parametrize(
    ('given', 'line'),
    [
        ({'NNODES': '2'}, 'NNODES=2 needs MASTER_ADDR, on all machines: the address'),
        ({'NODE_RANK': '1'}, 'NODE_RANK=1 must be below NNODES=1'),
        ({'NNODES': '1:4'}, 'NNODES=1:4, NODE_RANK=0, MAX_RESTARTS=0 and RDZV'),
        ({'RDZV_TIMEOUT': 'long'}, 'RDZV_TIMEOUT=long must be whole numbers'),
        ({'PORT': '70000'}, 'port 70000 of this machine is in use or no port'),
        ({'PORT': 'first'}, 'port first of this machine is in use or no port'),
    ],
)
def test_machines_that_cannot_meet_are_one_line_and_exit_2(shell, given, line):
    done = shell.run('dist_train.sh', 'c.py', '2', **given)
    assert (done.returncode, done.stderr.count('\n')) == (2, 1)
    assert line in done.stderr


def test_restarts_meet_anew_at_the_first_machine(shell):
    given = {'NNODES': '2', 'MASTER_ADDR': '127.0.0.1', 'PORT': '4321'}
    given |= {'MAX_RESTARTS': '3', 'RDZV_TIMEOUT': '9'}
    for rank, is_host in (('0', '1'), ('1', '0')):
        shell.run('dist_train.sh', 'c.py', '2', NODE_RANK=rank, **given)
        found = values(shell.called(), 'max_restarts', 'rdzv_endpoint', 'rdzv_conf')
        settings = f'is_host={is_host},join_timeout=9,read_timeout=9'
        assert found == ['3', '127.0.0.1:4321', settings]


@pytest.mark.parametrize(
    ('gpus', 'processes', 'given', 'threads'),
    [('0', '2', {}, '4'), ('0', '9', {}, '1'), ('4', '4', {}, '')]
    + [('0', '2', {'OMP_NUM_THREADS': '7'}, '7')],
)
def test_processes_on_the_cpu_share_the_cores(shell, gpus, processes, given, threads):
    shell.run('dist_train.sh', 'c.py', processes, STUB_GPUS=gpus, **given)
    assert shell.environment()['OMP'] == threads


@pytest.mark.parametrize(
    ('processes', 'gpus', 'line'),
    [
        ('3', '2', '3 processes were asked for, but this machine shows 2 GPUs'),
        ('two', '0', "not 'two'"),
        ('0', '0', "not '0'"),
        ('2', 'broken', 'run: bash tools/install.sh'),
    ],
)
def test_a_launch_that_cannot_be_is_one_line_and_exit_2(shell, processes, gpus, line):
    done = shell.run('dist_train.sh', 'c.py', processes, STUB_GPUS=gpus)
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count('\n') == 1
    assert not shell.record.exists()


@pytest.mark.parametrize(
    ('script', 'args'),
    [
        ('dist_train.sh', ['c.py']),
        ('dist_test.sh', ['c.py', 'c.pth']),
        ('slurm_train.sh', ['gpu', 'job']),
        ('slurm_test.sh', ['gpu', 'job', 'c.py']),
    ],
)
def test_missing_arguments_print_the_usage(shell, script, args):
    done = shell.run(script, *args)
    assert done.returncode == 2
    assert done.stderr.startswith(f'usage: bash tools/{script} ')
    assert not shell.record.exists()


def test_slurm_train_asks_for_gpus_and_passes_the_work_dir(shell):
    env = {'GPUS': '4', 'CPUS_PER_TASK': '6', 'SRUN_ARGS': '--mem 8G --qos high'}
    words = ['gpu', 'my job', 'c.py', 'out dir', '--amp']
    done = shell.run('slurm_train.sh', *words, **env)
    assert done.returncode == 0, done.stderr
    call = shell.called()
    assert call[:3] == [str(shell.bin / 'srun'), '-p', 'gpu']
    assert values(call, 'job-name', 'gres') == ['my job', 'gpu:4']
    counts = values(call, 'ntasks', 'ntasks-per-node', 'cpus-per-task')
    assert counts == ['4', '4', '6']
    start = call.index(str(shell.bin / 'python'))
    assert call[start - 4 : start] == ['--mem', '8G', '--qos', 'high']
    assert call[start + 1 :] == [
        *('-u', str(shell.checkout / 'tools/train.py'), 'c.py'),
        *('--work-dir', 'out dir', '--amp', '--launcher', 'slurm'),
    ]
    assert 20000 <= int(shell.environment()['PORT']) < 30000
    assert shell.environment()['PYTHONPATH'] == str(shell.checkout)


def test_slurm_train_works_without_a_work_dir_on_several_nodes(shell):
    shell.run('slurm_train.sh', 'gpu', 'job', 'c.py', '--amp', GPUS='16', PORT='77')
    call = shell.called()
    assert '--work-dir' not in call
    assert call[-3:] == ['--amp', '--launcher', 'slurm']
    assert values(call, 'ntasks', 'ntasks-per-node') == ['16', '8']
    assert shell.environment()['PORT'] == '77'


@pytest.mark.parametrize(
    ('asked', 'there', 'given'),
    [
        ('', '(null)', []),
        ('none', 'gpu:8', []),
        ('gpu:h100:2', 'gpu:8', ['--gres=gpu:h100:2']),
        ('', 'gpu:8', ['--gres=gpu:2']),
    ],
)
def test_gpus_are_asked_of_slurm_where_there_are_some(shell, asked, there, given):
    env = {'GRES': asked, 'GPUS': '2', 'STUB_GRES': there}
    shell.run('slurm_train.sh', 'p', 'job', 'c.py', **env)
    assert [word for word in shell.called() if 'gres' in word] == given
    assert shell.environment()['OMP'] == ('' if given else '5')


def test_slurm_test_passes_the_checkpoint(shell):
    words = ['c.py', 'c.pth', '--show-dir', 'd']
    shell.run('slurm_test.sh', 'gpu', 'job', *words)
    assert shell.called()[-6:] == [*words, '--launcher', 'slurm']


def test_the_environment_of_the_checkout_comes_before_the_python_of_the_path(shell):
    venv = shell.stub('../checkout/.venv/bin/python', PYTHON)
    shell.run('dist_train.sh', 'c.py', '1')
    assert Path(shell.called()[0]) == venv.resolve()
    chosen = shell.stub('chosen', PYTHON)
    shell.run('dist_train.sh', 'c.py', '1', CCMIM_PYTHON=str(chosen))
    assert shell.called()[0] == str(chosen)
