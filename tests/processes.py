"""Commands in processes of their own: in the checkout, with one thread."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = (sys.executable, '-W', 'ignore')


def environment(**changes):
    """What a process of this Python and this checkout is given."""
    own = dict(PYTHONPATH=ROOT, CCMIM_PYTHON=sys.executable, OMP_NUM_THREADS=1)
    return {**os.environ, **{k: str(v) for k, v in {**own, **changes}.items()}}


def start(*words, cwd=ROOT, env=None, **options):
    """Start a command with changes of its environment; its output holds its errors."""
    outputs = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    options = outputs | dict(cwd=cwd, env=environment(**(env or {}))) | options
    return subprocess.Popen(list(map(str, words)), **options)


def run(*words, timeout=600, **options):
    """Run a command to its end: what it returned and printed, errors apart."""
    with start(*words, stderr=subprocess.PIPE, **options) as process:
        out, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(words, process.returncode, out, errors)
