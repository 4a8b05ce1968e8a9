"""When there is a bar, and what it says."""

import io
import sys

import pytest
from mmengine.logging import HistoryBuffer

from ccmim.engine.hooks.progress import facts, is_terminal


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize('name', ['CI', 'TERM'])
def test_ci_and_dumb_terminals_get_lines(monkeypatch, name):
    monkeypatch.delenv('CI', raising=False)
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setattr(sys, 'stdout', Terminal())
    assert is_terminal()
    monkeypatch.setenv(name, 'dumb')
    assert not is_terminal()


def test_what_is_known_is_said():
    def seen(*values):
        buffer = HistoryBuffer()
        for value in values:
            buffer.update(value)
        return buffer

    scalars = {
        'train/lr': seen(1e-5),
        'train/base_lr': seen(1e-3),
        'train/loss': seen(9.0, *[2.0] * 10),
        'train/decode.loss_ce': seen(1.5),
        'train/aux.loss_ce': seen(0.5),
        'val/loss': seen(7.0),
    }
    text = facts(scalars)
    assert text.startswith('loss 2  (decode.ce 1.5, aux.ce 0.5)  lr 1.00e-03  ')
    assert 'img/s' not in facts({})
