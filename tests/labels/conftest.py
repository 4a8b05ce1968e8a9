"""Three commands that read labels, asked in this process up to their first step."""

import gc
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from mmengine.config import Config

from ccmim.apps.cli import transfer
from ccmim.apps.cli.main import main
from ccmim.apps.cli.tools import run_tool
from ccmim.apps.compare.forecast import Pace
from ccmim.registry import MODELS

TRAIN, TRANSFER, CHECK = ASKED = ('tools/train.py', 'ccmim transfer', 'ccmim check')
_SOUND = {TRAIN: 'step', TRANSFER: 'step', CHECK: 0}
_BROKEN = {TRAIN: 2, TRANSFER: 2, CHECK: 1}
_ARCH = dict(embed_dim=32, depth=4, num_heads=2)
_VIT = dict(type='VisionTransformer', arch=_ARCH, img_size=32)
_PACE = Pace(0.0, 1.0, 1.0, 1, 1, 'float32')


class FirstStep(BaseException):
    """A command has come to its first step; no handler of errors takes it."""


class Answers(NamedTuple):
    """What the commands said.

    Attributes:
        ends: By command: its exit code, 'step' if it was to begin.
        errors: By command: the lines of what is wrong.
        configs: By command: what it was to train with.
    """

    ends: dict[str, object]
    errors: dict[str, list[str]]
    configs: dict[str, Config]

    @property
    def sound(self):
        """Whether all were to begin."""
        return self.ends == _SOUND and not any(self.errors.values())

    @property
    def broken(self):
        """Whether none was to begin, and each said why."""
        return self.ends == _BROKEN and all(self.errors.values())


def words_for(made, weights, out):
    """The words of the three commands for a set of ``tests/labels/sets.py``."""
    (out / 'own.py').write_text(Config(made.config()).pretty_text)
    words = [out / 'own.py', '--work-dir', out / 'run']
    found = {TRAIN: words}
    words = [weights, '--data', made.root, '--num-heads', 2, '--out', out / 'transfer']
    found[TRANSFER] = ['transfer', *words]
    found[CHECK] = ['check', made.root, '--workers', 1]
    return {name: list(map(str, words)) for name, words in found.items()}


def errors_in(text, name):
    """The lines of a command that say what is wrong."""
    mark = 'PROBLEM: ' if name == CHECK else 'error: '
    return [line.partition(mark)[2] for line in text.splitlines() if mark in line]


@pytest.fixture(scope='session')
def weights(tmp_path_factory):
    """Weights of a tiny backbone."""
    file = tmp_path_factory.mktemp('weights') / 'vit.pth'
    torch.save(MODELS.build(_VIT).state_dict(), file)
    gc.freeze()  # mmengine collects garbage at every data set: 0.7 s of all modules
    yield file
    gc.unfreeze()


@pytest.fixture
def ask(weights, tmp_path, monkeypatch):
    """Make a function that asks all three about a set, with its own config."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(transfer, 'run_stages', _stop)
    monkeypatch.setattr('ccmim.engine.launch.build_runner', _stop)
    measure, count = transfer.measure_pace, 0

    def ask_all(made, is_measured=False):
        nonlocal count
        count += 1
        # transfer's estimate trains some steps: 3 s of each set.
        pace = measure if is_measured else lambda config: _PACE
        monkeypatch.setattr(transfer, 'measure_pace', pace)
        out = tmp_path / f'asked{count}'
        out.mkdir()
        answers = Answers({}, {}, {})
        for name, words in words_for(made, weights, out).items():
            said = io.StringIO()
            with redirect_stdout(said), redirect_stderr(said):
                try:
                    end = run_tool('train', words) if name == TRAIN else main(words)
                except FirstStep as step:
                    end, answers.configs[name] = 'step', step.args[0]
            answers.ends[name] = end
            answers.errors[name] = errors_in(said.getvalue(), name)
        if TRANSFER in answers.configs:
            (file,) = (out / 'transfer/configs').glob('*.py')
            answers.configs[TRANSFER] = Config.fromfile(file)
        return answers

    return ask_all


def _stop(first, *args):
    raise FirstStep(first if isinstance(first, Config) else Path())
