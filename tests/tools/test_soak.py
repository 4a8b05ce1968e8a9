"""The torture tool kills, resumes and compares."""

import os
import re
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize('processes', [1, pytest.param(2, marks=pytest.mark.dist)])
def test_killed_runs_end_like_the_straight_one(request, tmp_path, processes):
    done = subprocess.run(
        [
            sys.executable, '-W', 'ignore', 'tools/soak.py', '--kills', '4',
            '--processes', str(processes), '--work-dir', str(tmp_path / 'soak'),
        ],
        cwd=request.config.rootpath,
        env={
            **os.environ,
            'PYTHONPATH': str(request.config.rootpath),
            'OMP_NUM_THREADS': '1',
        },
        capture_output=True,
        text=True,
        timeout=600,
    )  # fmt: skip
    text = done.stdout
    assert done.returncode == 0, text + done.stderr[-3000:]
    assert re.search(r'^kills: 4 .*, 0 left a process hanging$', text, re.MULTILINE)
    completed = r'^runs completed: (\d+), identical to the straight run: \1$'
    assert re.search(completed, text, re.MULTILINE)
    assert text.count(', 0 after SIGTERM') == 1
    assert re.search(r'^checkpoints lost: 0 of \d+ found', text, re.MULTILINE)
