"""Curves and step times of runs, from the command line."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch):
    """Run the tool with some words."""

    def start(*words):
        path = ROOT / 'tools' / 'analyze_logs.py'
        spec = importlib.util.spec_from_file_location('analyze_logs', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [str(path), *map(str, words)])
        module.main()

    return start


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


def test_train_time(run, log, capsys):
    """The mean of the epochs; the first interval, a slow one, only if asked for."""
    run('cal_train_time', log)
    text = capsys.readouterr().out
    assert 'slowest epoch 2, average time is 3.0000 s/iter' in text
    assert 'fastest epoch 1, average time is 1.0000 s/iter' in text
    assert 'average iter time: 2.0000 s/iter' in text
    run('cal_train_time', log, '--include-outliers')
    text = capsys.readouterr().out
    assert 'slowest epoch 1, average time is 5.0000 s/iter' in text


def test_plot_curve(run, log, tmp_path, capsys):
    """A picture with a color for each line; what is not logged is named."""
    picture = tmp_path / 'curves.png'
    other = tmp_path / 'other.json'
    other.write_text(log.read_text())
    run('plot_curve', log, other, '--keys', 'loss', 'time', '--out', picture)
    with Image.open(picture) as image:
        found = {rgb for _, rgb in image.convert('RGB').getcolors(1 << 20)}
    # Matplotlib's first four colors.
    assert {(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40)} <= found
    for words, message in (
        (('--keys', 'mAP'), 'has no mAP; it has loss, time'),
        (('--legend', 'a', 'b'), '--legend has 2 names: give 1'),
    ):
        with pytest.raises(SystemExit) as end:
            run('plot_curve', log, *words)
        assert end.value.code == 2
        assert message in capsys.readouterr().err
