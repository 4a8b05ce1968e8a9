"""What tools/run_tests.sh and .ci/run start, with a stub for Python."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PYTHON = """#!/usr/bin/env bash
echo "$PWD: $*" >>"$STUB_CALLS"
case "$*" in
  *'ruff check'*) exit "${STUB_LINT:-0}" ;;
  *pytest*) echo "threads $OMP_NUM_THREADS data ${CCMIM_DATA:-none}"
    exit "${STUB_PYTEST:-0}" ;;
esac
"""

CORES = min(4, len(os.sched_getaffinity(0)))
PARALLEL = f'-n {CORES} --dist loadfile --no-loadscope-reorder'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    checkout = tmp_path / 'checkout'
    shutil.copytree(ROOT / 'tools', checkout / 'tools')
    shutil.copytree(ROOT / '.ci', checkout / '.ci')
    (checkout / 'tools/install.sh').write_text('echo "installs $*"\n')
    python = checkout / '.venv/bin/python'
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    return checkout


def run(checkout: Path, script: str, *args: str, **env: str):
    """Result of a script, and the calls of the Python, each with its folder."""
    calls = checkout.parent / 'calls'
    calls.write_text('')
    kept = {'PATH': os.environ['PATH'], 'HOME': str(checkout)}
    done = subprocess.run(
        ['bash', str(checkout / script), *args],
        env={**kept, 'STUB_CALLS': str(calls), **env},
        cwd=checkout.parent,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done, calls.read_text().splitlines()


def test_the_fast_suite_comes_after_the_install_the_lint_and_the_check(checkout):
    done, calls = run(checkout, 'tools/run_tests.sh', '-k', 'masking or vit')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == 'installs --tests'
    assert calls == [
        f'{checkout}: {call}'
        for call in (
            '-m ruff check .',
            '-m ruff format --check .',
            'tools/check_env.py --tests',
            f'-m pytest -m not slow {PARALLEL} -k masking or vit',
        )
    ]


def test_all_runs_the_slow_tests_as_well(checkout):
    _, calls = run(checkout, 'tools/run_tests.sh', '-x', '--all')
    assert calls[-1] == f'{checkout}: -m pytest {PARALLEL} -x'


def test_a_lint_error_ends_it_before_the_tests(checkout):
    done, calls = run(checkout, 'tools/run_tests.sh', STUB_LINT='1')
    assert done.returncode == 1
    assert len(calls) == 1


@pytest.mark.parametrize(
    ('code', 'line'), [('1', ''), ('5', 'run_tests: no test fits these options\n')]
)
def test_the_exit_code_is_that_of_pytest(checkout, code, line):
    done, _ = run(checkout, 'tools/run_tests.sh', STUB_PYTEST=code)
    assert (done.returncode, done.stderr) == (int(code), line)


def test_threads_and_data_of_the_user_are_honoured(checkout):
    (checkout.parent / 'sets').mkdir()
    env = {'OMP_NUM_THREADS': '7', 'CCMIM_DATA': 'sets'}
    done, _ = run(checkout, 'tools/run_tests.sh', **env)
    assert f'threads 7 data {checkout.parent}/sets' in done.stdout
    done, _ = run(checkout, 'tools/run_tests.sh')
    assert 'threads 1 data none' in done.stdout


def test_ci_runs_all_and_takes_the_data_beside_the_checkout(checkout):
    done, calls = run(checkout, '.ci/run')
    assert 'data none' in done.stdout
    assert calls[-1] == f'{checkout}: -m pytest {PARALLEL}'
    beside = re.search(r'-d \.\./(\S+)', (ROOT / '.ci/run').read_text())
    data = checkout.parent / beside[1]
    data.mkdir(parents=True)
    assert f'data {data}' in run(checkout, '.ci/run')[0].stdout
    done, _ = run(checkout, '.ci/run', CCMIM_DATA=str(checkout))
    assert f'data {checkout}\n' in done.stdout
