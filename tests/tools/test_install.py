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

# Stands for the Python of an environment: what is installed are files beside it.
PYTHON = """#!/usr/bin/env bash
prefix=$(dirname "$(dirname "$0")")
case "$*" in '-c '*) ;; *) echo "$*" >>"$STUB_CALLS" ;; esac
case "$*" in
  *'version_info[:2] <='*) exit "${STUB_UNSUPPORTED:-0}" ;;
  *'import venv'*) exit "${STUB_NO_VENV:-0}" ;;
  *sys.prefix*) echo "$prefix" ;;
  *platlib*) echo "$prefix/site" ;;
  *get_path*) echo "$STUB_HEADERS" ;;
  *'"python%d.%d"'*) echo python3.11 ;;
  *urllib*) exit "${STUB_NO_CPU_INDEX:-0}" ;;
  *'import cv2'*) [[ -f $prefix/headless || -z ${STUB_NO_LIBGL:-} ]] ||
    { echo 'ImportError: libGL.so.1: cannot open' >&2; exit 1; } ;;
  *_ext.__file__*) [[ -f $prefix/torch && -f $prefix/mmcv ]] &&
    echo "2.14.1 $(cat "$prefix/mmcv")" ;;
  *'> 13'*) exit "${STUB_NEW_TORCH:-0}" ;;
  *cuda.is_available*) exit 1 ;;
  *'import torch'*) [[ -f $prefix/torch ]] ;;
  '-m pip --version') [[ -f $prefix/pip ]] ;;
  '-m venv '*) mkdir -p "$3/bin"; touch "$3/pip"; cp "$0" "$3/bin/python" ;;
  *--ops*) [[ -z ${STUB_OPS_FAIL:-} ]] || { echo 'X nms on cpu'; exit 1; } ;;
  *--unmet*) cat "$STUB_UNMET" ;;
  *check_env.py) [[ -z ${STUB_WRONG:-} ]] || { echo "X $STUB_WRONG"; exit 1; } ;;
  '-m pip install '*)
    if [[ -n ${STUB_PIP_FAILS:-} ]]; then echo "$STUB_PIP_FAILS"; exit 1; fi
    case "$*" in
      *headless*) touch "$prefix/headless" ;;
      *'--no-binary onedl-mmcv'*) echo '  [3/78] c++ -c x.cpp'
        if [[ -n ${STUB_SLOW:-} ]]; then touch "$STUB_CALLS.slow"; sleep 60; fi
        echo compiled >"$prefix/mmcv" ;;
      *rest.txt) [[ -f $prefix/mmcv ]] || echo torchvision >"$prefix/mmcv" ;;
      *' torch'*) touch "$prefix/torch" ;;
      *onedl-mmcv*) rm "$prefix"/site/mmcv/_ext.so ;;
    esac ;;
esac
"""

# A compiler that works.
COMPILER = 'compiler'
WORKS = {'CXX': COMPILER}


class Machine:
    """A checkout on a machine with a stub Python, an empty cache and no compiler."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.checkout = folder, folder / 'checkout'
        self.cache, self.calls_file = folder / 'cache', folder / 'calls'
        for name in ('tools', 'requirements'):
            shutil.copytree(ROOT / name, self.checkout / name)
        shutil.copy(ROOT / 'pyproject.toml', self.checkout)
        (folder / 'headers').mkdir()
        (folder / 'headers' / 'Python.h').touch()
        self.stub('bin/uname', '#!/bin/sh\necho ${STUB_SYSTEM:-Linux x86_64}')
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
            'CXX': '/nonexistent',
            'CCMIM_BASE_PYTHON': str(self.python),
            'CCMIM_CACHE': str(self.cache),
            'STUB_CALLS': str(self.calls_file),
            'STUB_HEADERS': str(self.folder / 'headers'),
            'STUB_UNMET': str(self.folder / 'unmet'),
            **env,
        }
        if settings['CXX'] == COMPILER:
            settings['CXX'] = str(self.folder / 'bin/compiler')
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
    order = ['setuptools>=77', f'-e {machine.checkout}', 'torch==', 'rest.txt']
    calls = machine.calls()
    found = [next(i for i, call in enumerate(calls) if text in call) for text in order]
    assert found == sorted(found)
    rest = (machine.cache / 'logs/rest.txt').read_text()
    # With build isolation, so that mmcv finds no torch and compiles nothing.
    assert 'onedl-mmcv==' in rest
    assert '--no-build-isolation' not in calls[found[-1]]
    assert 'pytest' not in rest
    assert not any(line.startswith('torch') for line in rest.splitlines())

    again = machine.run()
    assert (again.returncode, machine.calls()) == (0, [])
    assert again.stdout == f'install: ready: {machine.checkout}/.venv/bin/python\n'

    assert machine.run('--tests').returncode == 0
    assert 'pytest==' in (machine.cache / 'logs/rest.txt').read_text()
    machine.run()
    assert machine.calls() == []


@pytest.mark.skipif(
    any(Path('/dev').glob('nvidia[0-9]*')), reason='a GPU wants the usual builds'
)
@pytest.mark.parametrize(
    ('env', 'option', 'size'),
    [
        ({}, True, 'for the CPU: up to 0.3 GB'),
        ({'STUB_NO_CPU_INDEX': '1'}, False, 'with CUDA: up to 3 GB'),
        ({'STUB_SYSTEM': 'Linux aarch64'}, False, 'for the CPU'),
        ({'CCMIM_TORCH': 'torch==2.8.0'}, False, 'with CUDA'),
        ({'CCMIM_TORCH': 'torch --index-url https://x/cpu'}, False, 'for the CPU'),
    ],
)
def test_without_a_gpu_torch_comes_without_cuda_where_that_can_be_had(
    machine, env, option, size
):
    done = machine.run(**env)
    (call,) = [call for call in machine.calls() if ' torch' in call]
    assert ('--extra-index-url https://download.pytorch.org/whl/cpu' in call) == option
    assert size in done.stdout


def test_a_changed_requirement_is_mended(machine):
    machine.run()
    with (machine.checkout / 'requirements/dense.txt').open('a') as file:
        file.write('newcomer==1.0\n')
    assert machine.run().returncode == 0
    assert 'newcomer==1.0' in (machine.cache / 'logs/rest.txt').read_text()


def test_operators_are_compiled_where_that_is_asked_for_and_stay(machine):
    machine.run()
    done = machine.run('--compiled-ops', CXX=COMPILER)
    assert done.returncode == 0, done.stderr
    calls = machine.calls()
    # With the newest torch that mmcv can be compiled for.
    torch = next(i for i, call in enumerate(calls) if 'install torch==2.11.0' in call)
    build = next(i for i, call in enumerate(calls) if '--no-binary onedl-mmcv' in call)
    assert torch < build
    assert '--no-cache-dir --force-reinstall' in calls[build]
    for options in ([], ['--compiled-ops']):
        assert machine.run(*options, CXX=COMPILER).stdout.startswith('install: ready')


def test_operators_of_another_torch_are_taken_out(machine):
    machine.run()
    extension = machine.checkout / '.venv/site/mmcv/_ext.so'
    extension.parent.mkdir(parents=True)
    extension.touch()
    (machine.checkout / '.venv/.ccmim-installed').unlink()
    assert machine.run().returncode == 0
    assert extension.exists()
    (machine.checkout / '.venv/.ccmim-installed').unlink()
    assert machine.run(STUB_OPS_FAIL='1').returncode == 0
    assert not extension.exists()
    again = '--force-reinstall --no-deps --no-cache-dir'
    assert any(again in call for call in machine.calls())


@pytest.mark.parametrize(
    ('env', 'line'),
    [
        ({}, 'no C++ compiler works (/nonexistent); run: apt-get install g++, or'),
        ({'STUB_HEADERS': '/nonexistent', **WORKS}, 'apt-get install python3.11-dev'),
        (
            {'STUB_NEW_TORCH': '1', **WORKS},
            "set CCMIM_TORCH='torch==2.11.0 torchvision=",
        ),
        ({'STUB_OPS_FAIL': '1', **WORKS}, "mmcv's operators do not work: X nms on cpu"),
    ],
)
def test_a_build_that_cannot_be_is_one_line(machine, env, line):
    done = machine.run('--compiled-ops', **env)
    assert done.returncode == 1
    assert line in done.stderr
    assert done.stderr.count('\n') == 1


def test_torch_is_what_the_variable_says_and_stays_so(machine):
    wanted = 'torch==2.8.0 torchvision==0.23.0 --index-url URL'
    machine.run(CCMIM_TORCH=wanted)
    assert f'-m pip install {wanted}' in machine.calls()
    assert len([call for call in machine.calls() if ' torch' in call]) == 1
    assert machine.run().stdout.startswith('install: ready')
    assert machine.run('--tests').returncode == 0
    assert any('torch==2.8.0' in call for call in machine.calls())


def test_an_environment_of_the_user_gets_only_what_it_lacks(machine):
    own = machine.stub('own/bin/python', PYTHON)
    for name, text in {'pip': '', 'torch': '', 'mmcv': 'compiled'}.items():
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


NO_ROUTE = 'WARNING: NewConnectionError: no route'


@pytest.mark.parametrize(
    ('env', 'line'),
    [
        ({'STUB_UNSUPPORTED': '1'}, 'no Python 3.10, 3.11, 3.12 or 3.13 was found'),
        ({'CCMIM_PYTHON': '/nonexistent'}, 'CCMIM_PYTHON=/nonexistent is no program'),
        ({'STUB_NO_VENV': '1'}, 'run: apt-get install python3.11-venv'),
        ({'STUB_FREE': '1000000'}, 'has 0 GB free, and 2 GB are needed'),
        ({'STUB_FREE': '4000000', 'STUB_NO_CPU_INDEX': '1'}, '3 GB free, and 9 GB are'),
        ({'CCMIM_CACHE': '/proc/ccmim'}, 'set CCMIM_CACHE to a folder'),
        ({'STUB_PIP_FAILS': NO_ROUTE}, 'the package registry cannot be reached'),
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


def test_opencv_without_libgl_falls_back_to_its_headless_wheel(machine):
    done = machine.run(STUB_NO_LIBGL='1')
    assert done.returncode == 0, done.stderr
    (call,) = machine.calls('opencv-python-headless==')
    assert '--force-reinstall --no-deps' in call


def test_a_stopped_build_can_be_run_again(machine):
    process = machine.start('--compiled-ops', STUB_SLOW='1', CXX=COMPILER)
    deadline = time.monotonic() + 30
    while not machine.calls_file.with_name('calls.slow').exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert err == 'install: stopped; run the same command again to resume\n'
    assert machine.run('--compiled-ops', CXX=COMPILER).returncode == 0


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
