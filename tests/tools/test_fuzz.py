"""The reader of checkpoints survives what a minute of mutation finds."""

import os
import subprocess
import sys
import time

import pytest

from tools import fuzz

pytestmark = pytest.mark.slow


def test_no_crash_no_hang_no_traceback(request):
    done = subprocess.run(
        [sys.executable, 'tools/fuzz.py', '--files', '4000', '--seed', '5'],
        cwd=request.config.rootpath,
        env={'PYTHONPATH': str(request.config.rootpath), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '4,000 files, seed 5:' in done.stdout
    assert done.stdout.endswith('0 crashed, hung or raised something else\n')


def test_a_crash_and_a_hang_are_seen(monkeypatch):
    """The control: else nothing found would mean nothing."""

    def read_one(seed, number, folder):
        if number == 3:
            os.abort()
        if number == 5:
            time.sleep(60)
        return 'read'

    monkeypatch.setattr(fuzz, 'read_one', read_one)
    monkeypatch.setattr(fuzz, 'SECONDS', 1)
    counts = fuzz.Counter()
    assert fuzz.run_batch(0, 0, 9, counts) == (3, 'crash: exit code -6')
    assert fuzz.run_batch(0, 4, 9, counts) == (5, 'no answer in 1 s')
    assert fuzz.run_batch(0, 6, 9, counts) == (8, None)
    assert counts['read'] == 3 + 1 + 3
