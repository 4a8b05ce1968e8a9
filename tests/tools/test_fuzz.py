"""Every reader survives what a minute of mutation finds."""

import os
import sys
import time
from collections import Counter

import pytest

from tests.processes import run
from tools import fuzz


@pytest.mark.parametrize('reader', fuzz.READERS)
def test_damaged_files_are_read_or_refused(reader, tmp_path):
    pytest.importorskip('pycocotools')
    count = 8 if reader == 'logs' else 40
    found = Counter(fuzz.read_one(7, n, [reader], tmp_path) for n in range(count))
    assert found.keys() <= {f'{reader} read', f'{reader} refused'}
    assert found.total() == count


@pytest.mark.slow
@pytest.mark.parametrize(('readers', 'files'), [('checkpoints', 4000), ('all', 2100)])
def test_no_crash_no_hang_no_traceback(readers, files):
    words = ['--readers', readers, '--files', files, '--seed', '5']
    done = run(sys.executable, 'tools/fuzz.py', *words, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'{files:,} files, seed 5:' in done.stdout
    assert done.stdout.endswith('0 crashed, hung or raised something else\n')


@pytest.mark.slow
def test_a_crash_and_a_hang_are_seen(monkeypatch):
    """The control: else nothing found would mean nothing."""

    def read_one(seed, number, readers, folder):
        if number == 3:
            os.abort()
        if number == 5:
            time.sleep(60)
        return 'read'

    monkeypatch.setattr(fuzz, 'read_one', read_one)
    monkeypatch.setattr(fuzz, 'SECONDS', 1)
    counts, every = Counter(), list(fuzz.READERS)
    assert fuzz.run_batch(0, 0, 9, every, counts) == (3, 'crash: exit code -6')
    assert fuzz.run_batch(0, 4, 9, every, counts) == (5, 'no answer in 1 s')
    assert fuzz.run_batch(0, 6, 9, every, counts) == (8, None)
    assert counts['read'] == 3 + 1 + 3
