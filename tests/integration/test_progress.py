"""A bar in a terminal, plain lines everywhere else, curves in TensorBoard."""

import io
import re
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ccmim.engine.launch import build_runner
from ccmim.engine.settings import StartHook, clear_errors


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv('CI', raising=False)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '120')

    def enter(stream):  # in the test itself, as pytest sets a stream of its own before
        monkeypatch.setattr(sys, 'stdout', stream)
        return stream

    return enter


@pytest.fixture
def run(tiny_run, tmp_path):
    def run(**changes):
        runner = build_runner(tiny_run('ccmim_vitb', 'run', changes))
        runner.train()
        (log,) = (tmp_path / 'run').glob('*/*.log')
        return log.read_text()

    return run


def test_a_terminal_shows_a_bar_and_the_file_has_the_lines(terminal, run):
    stream = terminal(Terminal())
    log = run(**{'train_cfg.max_epochs': 2})
    shown = stream.getvalue()
    assert re.search(r'8/8.* 100 % 0:00:00 left', shown)
    assert re.search(r'loss \S+  \(reconstruction \S+, contrast \S+\)  lr ', shown)
    assert re.search(r'img/s  waiting \d+%  \d+\.\d GiB', shown)
    assert 'Saving checkpoint' in shown  # above the bar
    assert 'Epoch(train)' not in shown
    assert log.count('Epoch(train)') == 8
    assert shown.count('\x1b[?25l') == shown.count('\x1b[?25h') == 1  # the cursor
    assert '\x1b' not in log


def test_without_a_terminal_there_are_lines_alone(terminal, run):
    stream = terminal(io.StringIO())
    run(**{'train_cfg.max_epochs': 1})
    shown = stream.getvalue()
    assert '\r' not in shown
    assert shown.count('Epoch(train)') == 4
    for name in ('images_per_second: ', 'loader_ratio: ', 'eta: ', 'base_lr: '):
        assert shown.count(name) == 4


def test_tensorboard_gets_the_curves(run, tmp_path):
    run(**{'train_cfg.max_epochs': 1})
    (file,) = (tmp_path / 'run').glob('*/vis_data/events.out.tfevents.*')
    events = EventAccumulator(str(file.parent)).Reload()
    steps = [point.step for point in events.Scalars('loss_reconstruction')]
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize('name', ['Wandb', 'MLflow'])
def test_another_tracker_is_one_line(run, monkeypatch, capsys, name):
    """A package that is missing is named with the command that brings it."""
    monkeypatch.setitem(sys.modules, name.lower(), None)
    with pytest.raises(SystemExit) as end, clear_errors(StartHook()):
        run(**{'visualizer.vis_backends.1.type': f'{name}VisBackend'})
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f'pip install {name.lower()}' in line
