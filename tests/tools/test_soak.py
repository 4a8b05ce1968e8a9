"""The torture tool kills, resumes and compares."""

import re

import pytest

from tests.processes import PYTHON, run


@pytest.mark.slow
@pytest.mark.parametrize(
    ('processes', 'kills'), [(1, 4), pytest.param(2, 2, marks=pytest.mark.dist)]
)
def test_killed_runs_end_like_the_straight_one(tmp_path, processes, kills):
    words = ['--kills', kills, '--processes', processes, '--work-dir', tmp_path / 's']
    done = run(*PYTHON, 'tools/soak.py', *words)
    text = done.stdout
    assert done.returncode == 0, text + done.stderr[-3000:]
    assert re.search(rf'^kills: {kills} .*, 0 left a process hanging$', text, re.M)
    completed = r'^runs completed: (\d+), identical to the straight run: \1$'
    assert re.search(completed, text, re.MULTILINE)
    assert text.count(', 0 after SIGTERM') == 1
    assert re.search(r'^checkpoints lost: 0 of \d+ found', text, re.MULTILINE)
