"""Curves and step times of runs, from the command line."""

import json

import pytest
from PIL import Image


@pytest.fixture
def run(run_tool):
    """Run the tool with some words; what it says."""
    return lambda *words: run_tool('analyze_logs.py', *words)[1]


@pytest.fixture
def log(tmp_path):
    """A log of two epochs of two logged intervals."""
    times = [9.0, 1.0, 2.0, 4.0]
    lines = [
        dict(loss=1.0 / i, time=t, epoch=(i + 1) // 2, iter=5 * i, step=5 * i)
        for i, t in enumerate(times, 1)
    ]
    file = tmp_path / 'scalars.json'
    file.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return file


def test_train_time(run, log):
    """The mean of the epochs; the first interval, a slow one, only if asked for."""
    text = run('cal_train_time', log)
    assert 'slowest epoch 2, average time is 3.0000 s/iter' in text
    assert 'fastest epoch 1, average time is 1.0000 s/iter' in text
    assert 'average iter time: 2.0000 s/iter' in text
    text = run('cal_train_time', log, '--include-outliers')
    assert 'slowest epoch 1, average time is 5.0000 s/iter' in text


def test_plot_curve(run, log, tmp_path):
    """A picture with a color for each line."""
    picture = tmp_path / 'curves.png'
    other = tmp_path / 'other.json'
    other.write_text(log.read_text())
    run('plot_curve', log, other, '--keys', 'loss', 'time', '--out', picture)
    with Image.open(picture) as image:
        found = {rgb for _, rgb in image.convert('RGB').getcolors(1 << 20)}
    # Matplotlib's first four colors.
    assert {(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40)} <= found
