"""The torture tool kills, resumes and compares."""

import os
import re
import subprocess
import sys

import pytest


def test_a_folder_of_others_is_refused_and_not_touched(tmp_path, run_tool):
    (tmp_path / 'notes.txt').write_text('mine')
    code, _, error = run_tool('soak.py', '--work-dir', tmp_path)
    assert code == 2
    assert f'error: {tmp_path} holds other files' in error
    assert (tmp_path / 'notes.txt').read_text() == 'mine'


@pytest.mark.slow
@pytest.mark.parametrize(
    ('processes', 'kills'), [(1, 4), pytest.param(2, 2, marks=pytest.mark.dist)]
)
def test_killed_runs_end_like_the_straight_one(request, tmp_path, processes, kills):
    done = subprocess.run(
        [
            sys.executable, '-W', 'ignore', 'tools/soak.py', '--kills', str(kills),
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
    assert re.search(
        rf'^kills: {kills} .*, 0 left a process hanging$', text, re.MULTILINE
    )
    completed = r'^runs completed: (\d+), identical to the straight run: \1$'
    assert re.search(completed, text, re.MULTILINE)
    assert text.count(', 0 after SIGTERM') == 1
    assert re.search(r'^checkpoints lost: 0 of \d+ found', text, re.MULTILINE)
