"""The installer, from a bare machine to its failures, with a stub for Python."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = 'onedl-mmcv-2.3.6-torch2.11.0-cp311-x86_64-cpu'

# Stands for the Python of an environment: what is installed are files beside it.
PYTHON = f"""#!/usr/bin/env bash
prefix=$(dirname "$(dirname "$0")")
case "$*" in '-c '*) ;; *) echo "$*" >>"$STUB_CALLS" ;; esac
case "$*" in
  *'version_info[:2] <='*) exit "${{STUB_UNSUPPORTED:-0}}" ;;
  *'import venv'*) exit "${{STUB_NO_VENV:-0}}" ;;
  *sys.prefix*) echo "$prefix" ;;
  *get_path*) echo "$STUB_HEADERS" ;;
  *'"cp%d%d"'*) echo cp311 ;;
  *'"python%d.%d"'*) echo python3.11 ;;
  *'import cv2'*) [[ -f $prefix/headless || -z ${{STUB_NO_LIBGL:-}} ]] ||
    {{ echo 'ImportError: libGL.so.1: cannot open' >&2; exit 1; }} ;;
  *'import torch'*) [[ -f $prefix/torch ]] ;;
  '-m pip --version') [[ -f $prefix/pip ]] ;;
  '-m venv '*) mkdir -p "$3/bin"; touch "$3/pip"; cp "$0" "$3/bin/python" ;;
  *ops_name.py*) [[ -f $prefix/torch ]] && echo {NAME} ;;
  *--ops*) if [[ -n ${{STUB_OPS_FAIL:-}} ]]; then echo 'X nms on cpu'; exit 1; fi
    [[ $(cat "$prefix/mmcv" 2>&1) == ops ]] ;;
  *--unmet*) cat "$STUB_UNMET" ;;
  *check_env.py) [[ -z ${{STUB_WRONG:-}} ]] || {{ echo "X $STUB_WRONG"; exit 1; }} ;;
  '-m pip wheel '*)
    echo '  [3/78] c++ -c x.cpp'
    if [[ -n ${{STUB_SLOW:-}} ]]; then touch "$TMPDIR/x.o"; sleep 60; fi
    while [[ $1 != --wheel-dir ]]; do shift; done
    echo "${{STUB_OPS:-ops}}" >"$2/onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl" ;;
  '-m zipfile '*) if [[ $(cat "$4") == ops ]]; then echo mmcv/_ext.so; fi ;;
  '-m pip install '*)
    if [[ -n ${{STUB_PIP_FAILS:-}} ]]; then echo "$STUB_PIP_FAILS"; exit 1; fi
    case "$*" in
      *onedl_mmcv*.whl) cp "${{@: -1}}" "$prefix/mmcv" ;;
      *headless*) touch "$prefix/headless" ;;
      *' torch'*) touch "$prefix/torch" ;;
    esac ;;
esac
"""


class Machine:
    """A checkout on a machine with a stub Python, an empty cache and a compiler."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.checkout = folder, folder / 'checkout'
        self.cache, self.calls_file = folder / 'cache', folder / 'calls'
        self.kept = self.cache / 'wheels' / NAME
        for name in ('tools', 'requirements'):
            shutil.copytree(ROOT / name, self.checkout / name)
        shutil.copy(ROOT / 'pyproject.toml', self.checkout)
        (folder / 'headers').mkdir()
        (folder / 'headers' / 'Python.h').touch()
        self.python = self.stub('base/bin/python3', PYTHON)
        self.stub('bin/df', '#!/bin/sh\necho\necho disk 0 0 ${STUB_FREE:-99999999} 0%')
        self.stub('bin/compiler', '#!/bin/sh\ncat >/dev/null\n')

    def stub(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def start(self, *args: str, **env: str) -> subprocess.Popen:
        """Starts the installer, with a fresh list of calls."""
        self.calls_file.write_text('')
        settings = {
            'PATH': f'{self.folder / "bin"}:{os.environ["PATH"]}',
            'HOME': str(self.folder),
            'CXX': str(self.folder / 'bin/compiler'),
            'CCMIM_BASE_PYTHON': str(self.python),
            'CCMIM_CACHE': str(self.cache),
            'STUB_CALLS': str(self.calls_file),
            'STUB_HEADERS': str(self.folder / 'headers'),
            'STUB_UNMET': str(self.folder / 'unmet'),
            **env,
        }
        return subprocess.Popen(
            ['bash', str(self.checkout / 'tools/install.sh'), *args],
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, **env: str) -> subprocess.CompletedProcess:
        process = self.start(*args, **env)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def calls(self, kind: str = '-m pip') -> list[str]:
        """What the Python was called with, of the kind that is given."""
        lines = self.calls_file.read_text().splitlines()
        return [line for line in lines if kind in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_bare_machine_gets_all_in_order_and_the_second_run_does_nothing(machine):
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert f'{machine.checkout}/.venv/bin/python' in done.stdout.splitlines()[-1]
    order = ['setuptools>=77', f'-e {machine.checkout}', 'torch==2.11.0 torchvision==']
    order += ['rest.txt', '--no-binary onedl-mmcv', f'{NAME}/onedl_mmcv']
    calls = machine.calls()
    found = [next(i for i, call in enumerate(calls) if text in call) for text in order]
    assert found == sorted(found)
    rest = (machine.cache / 'logs/rest.txt').read_text()
    assert 'onedl-mmdetection==' in rest
    assert 'pytest' not in rest
    assert not any(
        line.startswith(('torch', 'onedl-mmcv')) for line in rest.splitlines()
    )
    assert [wheel.suffix for wheel in machine.kept.iterdir()] == ['.whl']

    again = machine.run()
    assert (again.returncode, machine.calls()) == (0, [])
    assert again.stdout == f'install: ready: {machine.checkout}/.venv/bin/python\n'

    assert machine.run('--tests').returncode == 0
    assert 'pytest==' in (machine.cache / 'logs/rest.txt').read_text()
    assert machine.calls('pip wheel') == []
    machine.run()
    assert machine.calls() == []


def test_a_changed_requirement_or_broken_ops_are_mended(machine):
    machine.run()
    (machine.checkout / '.venv/mmcv').write_text('no ops')
    with (machine.checkout / 'requirements/dense.txt').open('a') as file:
        file.write('newcomer==1.0\n')
    assert machine.run().returncode == 0
    assert 'newcomer==1.0' in (machine.cache / 'logs/rest.txt').read_text()
    assert machine.calls('pip wheel') == []
    assert (machine.checkout / '.venv/mmcv').read_text() == 'ops\n'


def test_a_kept_wheel_that_does_not_load_is_built_anew(machine):
    machine.kept.mkdir(parents=True)
    wheel = machine.kept / 'onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl'
    wheel.write_text('of another system')
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert len(machine.calls('pip wheel')) == 1
    assert wheel.read_text() == 'ops\n'


def test_a_wheel_without_ops_is_neither_kept_nor_installed(machine):
    done = machine.run(STUB_OPS='none')
    assert done.returncode == 1
    assert 'mmcv came out without its ops' in done.stderr
    assert not machine.kept.exists()
    assert machine.calls('.whl') == machine.calls('zipfile')


def test_ops_that_do_not_work_though_just_built_are_one_line(machine):
    done = machine.run(STUB_OPS_FAIL='1')
    assert done.returncode == 1
    assert done.stderr == "install: mmcv's ops do not work: X nms on cpu\n"
    assert len(machine.calls('pip wheel')) == 1
    assert not machine.kept.exists()


def test_torch_is_what_the_variable_says_and_stays_so(machine):
    machine.run(CCMIM_TORCH='torch==2.8.0 torchvision==0.23.0 --index-url URL')
    assert '-m pip install torch==2.8.0 torchvision==0.23.0 --index-url URL' in (
        machine.calls()
    )
    assert not any('torch==2.11.0' in call for call in machine.calls())
    assert machine.run().stdout.startswith('install: ready')
    assert machine.run('--tests').returncode == 0
    assert any('torch==2.8.0' in call for call in machine.calls())


def test_an_environment_of_the_user_gets_only_what_it_lacks(machine):
    own = machine.stub('own/bin/python', PYTHON)
    for name, text in {'pip': '', 'torch': '', 'mmcv': 'ops'}.items():
        (own.parents[1] / name).write_text(text)
    (machine.folder / 'unmet').write_text('ftfy==6.3.1\n')
    done = machine.run(CCMIM_PYTHON=str(own))
    assert done.returncode == 0, done.stderr
    assert (machine.cache / 'logs/rest.txt').read_text() == 'ftfy==6.3.1\n'
    assert not any('torch==' in call or 'mmcv' in call for call in machine.calls())
    assert not (machine.checkout / '.venv').exists()
    for given in (str(own), os.path.relpath(own)):
        again = machine.run(CCMIM_PYTHON=given)
        assert again.stdout == f'install: ready: {own}\n'


@pytest.mark.parametrize(
    ('env', 'line'),
    [
        ({'STUB_UNSUPPORTED': '1'}, 'no Python 3.10, 3.11 or 3.12 was found'),
        ({'CCMIM_PYTHON': '/nonexistent'}, 'CCMIM_PYTHON=/nonexistent is no program'),
        ({'STUB_NO_VENV': '1'}, 'run: apt-get install python3.11-venv'),
        ({'CXX': '/nonexistent'}, 'run: apt-get install g++'),
        ({'STUB_HEADERS': '/nonexistent'}, 'run: apt-get install python3.11-dev'),
        ({'STUB_FREE': '4000000'}, 'has 3 GB free, and 12 GB are needed'),
        ({'CCMIM_CACHE': '/proc/ccmim'}, 'set CCMIM_CACHE to a folder'),
        (
            {'STUB_PIP_FAILS': 'WARNING: NewConnectionError: no route'},
            'the package registry cannot be reached',
        ),
        ({'STUB_PIP_FAILS': 'OSError: No space left on device'}, 'the disk is full'),
        ({'STUB_PIP_FAILS': 'c++: fatal error: Killed signal'}, 'set MAX_JOBS=1'),
        ({'STUB_PIP_FAILS': 'ERROR: no such thing as x'}, 'no such thing as x (all'),
        ({'STUB_WRONG': 'timm is missing'}, 'timm is missing'),
    ],
)
def test_a_failure_is_one_line_with_the_remedy(machine, env, line):
    done = machine.run(**env)
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.count('\n') == 1
    assert not list(machine.checkout.glob('.venv/.ccmim-installed'))


def test_a_missing_compiler_does_not_matter_when_the_wheel_is_kept(machine):
    machine.run()
    shutil.rmtree(machine.checkout / '.venv')
    assert machine.run(CXX='/nonexistent').returncode == 0
    assert machine.calls('pip wheel') == []


def test_opencv_without_libgl_falls_back_to_its_headless_wheel(machine):
    done = machine.run(STUB_NO_LIBGL='1')
    assert done.returncode == 0, done.stderr
    (call,) = machine.calls('opencv-python-headless==')
    assert '--force-reinstall --no-deps' in call


def test_a_stopped_build_leaves_nothing_behind_and_can_be_run_again(machine):
    process = machine.start(STUB_SLOW='1')
    deadline = time.monotonic() + 30
    while not list(machine.cache.glob('building.*/x.o')):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert err == 'install: stopped; run the same command again to go on\n'
    assert list(machine.cache.glob('building.*')) == []
    assert machine.run().returncode == 0


def test_a_second_installation_waits_for_the_first(machine):
    machine.cache.mkdir()
    with (machine.cache / 'install.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = machine.start()
        line = process.stdout.readline()
        assert line == 'install: another installation is running; waiting for it\n'
        assert machine.calls() == []
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_progress_of_a_build_is_read_from_its_log(tmp_path):
    log = tmp_path / 'build.log'
    script = f'source {ROOT}/tools/install.sh; progress {log} 60'

    def progress(text: str) -> str:
        log.write_text(text)
        command = ['bash', '-c', script]
        return subprocess.run(command, capture_output=True, text=True).stdout

    compiled = '  [1/78] c++ -c a.cpp\n  warning: x[3/4] is\n  [20/78] c++ -c b.cpp\n'
    assert progress(compiled) == '20 of 78 files compiled, about 2:54 left\n'
    fetched = 'Collecting timm\n  Downloading timm-1.0-py3.whl (2 MB)\nnoise\n'
    assert progress(fetched) == 'Downloading timm-1.0-py3.whl (2 MB)\n'
    assert progress('') == ''
