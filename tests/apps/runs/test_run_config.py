"""Configs are compared leaf by leaf."""

from ccmim.apps.runs.config import differences, parse_config

ONE = "work_dir = 'a'\nmodel = dict(type='A', sizes=[1, 2], hooks=[dict(n=1)])\n"
TWO = "work_dir = 'b'\nmodel = {'type': 'A', 'sizes': [1, 3], 'hooks': [dict(n=2)]}\n"


def test_only_what_differs_is_listed():
    """Where a run was written does not count, and a missing key is None."""
    one, two = parse_config(ONE), parse_config(TWO + 'seed = 0\n')
    assert differences([one, two]) == [
        ('model.hooks.0.n', ['1', '2']),
        ('model.sizes', ['[1, 2]', '[1, 3]']),
        ('seed', [None, '0']),
    ]
    assert differences([one, one]) == []
    assert parse_config('model = dict(') == {}
