"""Configs that lie in folders and checkpoints are read, and never run."""

import math

import pytest
from mmengine.config import Config

from ccmim.checkpoints.config_text import read_values


def test_every_config_comes_back(request):
    """As mmengine dumps it, with tuples, None and keys that are no names."""
    files = sorted(request.config.rootpath.glob('mm_configs/[psd]*/*.py'))[::6]
    assert len(files) > 8
    for file in files:
        cfg = Config.fromfile(file)
        assert read_values(cfg.pretty_text) == cfg._cfg_dict.to_dict(), file


def test_odd_values():
    text = "a = {'x.y': -1, 2: (1,)}\nb = dict(c=inf, d=[-inf, None, True], e={1})"
    text += "\nf = dict({'x.y': 1})"
    expected = {
        'a': {'x.y': -1, 2: (1,)},
        'b': dict(c=math.inf, d=[-math.inf, None, True], e={1}),
        'f': {'x.y': 1},
    }
    assert read_values(text) == expected
    assert math.isnan(read_values('a = nan')['a'])
    assert read_values('#' * 2**20) == {}  # no longer ones


@pytest.mark.parametrize(
    'text',
    [
        *(
            "a = open('marker', 'w')",
            'import os; a = 1',
            "a = dict(b=__import__('os'))",
        ),
        *('a = [i for i in (1, 2)]', 'a = dict(**b)', 'a = dict([(1, 2)])', 'print(1)'),
        *("a = f'{open(1)}'", 'a = b = 1', 'a.b = 1', 'a = 9 ** 9 ** 9', 'a = ('),
        *('a = \0', '-' * 100_000 + '1', 'a = ' + '[' * 5000, 'a = 1\n' * 200_000),
        *('a = ' + '-' * 50_000 + '1', 'a = ' + 'x.' * 100_000 + 'y'),
    ],
    ids=lambda text: text[:12],
)
def test_code_is_no_value(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='line|config|characters') as caught:
        read_values(text)
    assert '\n' not in str(caught.value)
    assert not any(tmp_path.iterdir())
