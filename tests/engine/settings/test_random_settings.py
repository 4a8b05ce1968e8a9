"""Whatever is changed in a config, the run begins or ends with one line."""

import copy
import itertools
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccmim.engine.config import read_config
from ccmim.engine.launch import build_runner
from ccmim.engine.settings import StartHook, clear_errors

VALUES = [-1, 0, 1, 0.5, 3, float('nan'), '', 'x', None, True, [], [1, 2], {}]
VALUES.append(dict(a=1))
# Where a run writes, what would take minutes, and what outlives a run.
LEFT_ALONE = ('work_dir', 'experiment_name', 'compile_blocks', 'env_cfg')
pytestmark = pytest.mark.slow
FIXTURES = [HealthCheck.function_scoped_fixture]
QUICK = settings(max_examples=12, derandomize=True, deadline=None, database=None)
QUICK = settings(QUICK, suppress_health_check=FIXTURES)
NUMBERS = itertools.count()


def _keys(node, path=()):
    """Paths of all that a config holds."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node)
    for key, value in items:
        if key not in LEFT_ALONE:
            yield (*path, key)
            if isinstance(value, Mapping | list):
                yield from _keys(value, (*path, key))


class Begun(BaseException):
    """The first step is next."""


class StopBeforeStep(StartHook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        raise Begun


def _begin(cfg, start):
    cfg.experiment_name = f'random{next(NUMBERS)}'
    runner = build_runner(cfg)
    runner.register_hook(start)
    runner.train()


@pytest.fixture
def whole(config_file, tmp_path):
    return read_config(str(config_file), str(tmp_path / 'run'))


@pytest.fixture
def outcome(capsys):
    """Prepare a run up to its first step: it begins, or ends with one line."""

    def outcome(prepare):
        start = StopBeforeStep()
        capsys.readouterr()
        with pytest.raises((Begun, SystemExit)) as caught, clear_errors(start):
            _begin(prepare(), start)
        text = capsys.readouterr().err
        assert 'Traceback' not in text
        if caught.type is SystemExit:
            assert caught.value.code == 2
            assert text.splitlines()[-1].startswith('error: ')

    return outcome


def _part(cfg, path):
    node = cfg._cfg_dict
    for key in path:
        node = node[key]
    return node


@QUICK
@given(data=st.data())
def test_any_value_of_a_file(whole, outcome, data):
    *path, key = data.draw(st.sampled_from(list(_keys(whole._cfg_dict))))
    cfg = copy.deepcopy(whole)
    _part(cfg, path)[key] = data.draw(st.sampled_from(VALUES))
    outcome(lambda: cfg)


@QUICK
@given(data=st.data())
def test_any_misspelt_key_of_a_file(whole, outcome, data):
    keys = [path for path in _keys(whole._cfg_dict) if isinstance(path[-1], str)]
    *path, key = data.draw(st.sampled_from(keys))
    i = data.draw(st.integers(0, len(key) - 1))
    letters = data.draw(st.sampled_from(['', 'x', '_', key[i] * 2]))
    cfg = copy.deepcopy(whole)
    node = _part(cfg, path)
    node[key[:i] + letters + key[i + 1 :]] = node.pop(key)
    outcome(lambda: cfg)


@QUICK
@given(data=st.data())
def test_any_word_of_the_command_line(config_file, whole, outcome, data):
    path = data.draw(st.sampled_from(list(_keys(whole._cfg_dict))))
    key = '.'.join(map(str, path))
    i = data.draw(st.integers(0, len(key)))
    key = key[:i] + data.draw(st.sampled_from(['', 'x', '.', '0', '.0.'])) + key[i:]
    options = {key: data.draw(st.sampled_from(VALUES))}
    folder = whole.work_dir
    outcome(lambda: read_config(str(config_file), folder, options))
