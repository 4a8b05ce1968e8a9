"""The sentence says what the figures say, and no more."""

import numpy as np
import pytest

from ccmim.apps.compare import Gain, Score, find_gains, verdict, write_table
from ccmim.apps.compare.gains import at_ends
from ccmim.evaluation.samples import Overlaps

AHEAD = Gain('mIoU', 4.7, 0.2, 8.1)
BEHIND = Gain('box AP', -3.0, -5.0, -0.5)
LEVEL = Gain('mask AP', 1.3, -0.4, 3.0)
ALONE = Gain('k-NN', 9.0)


@pytest.mark.parametrize(
    ('gains', 'sentence'),
    [
        ([], ''),
        ([AHEAD], 'A is ahead in mIoU (+4.7 [+0.2, +8.1]).'),
        ([BEHIND], 'A is behind in box AP (-3.0 [-5.0, -0.5]).'),
        # The greatest lead is none when chance may have made it.
        ([LEVEL], 'No significant difference in mask AP (+1.3 [-0.4, +3.0]).'),
        (
            [LEVEL._replace(value=0.0, low=0.0, high=0.0)],
            'No significant difference in mask AP (+0.0 [+0.0, +0.0]).',
        ),
        ([ALONE], 'No interval from a single run for k-NN (+9.0).'),
        (
            [LEVEL, AHEAD, ALONE, AHEAD._replace(measure='top-1'), BEHIND],
            'A is ahead in mIoU (+4.7 [+0.2, +8.1]) and top-1 (+4.7 [+0.2, +8.1]). '
            'A is behind in box AP (-3.0 [-5.0, -0.5]). '
            'No significant difference in mask AP (+1.3 [-0.4, +3.0]). '
            'No interval from a single run for k-NN (+9.0).',
        ),
    ],
)
def test_the_sentence(gains, sentence):
    assert verdict('A', gains) == sentence


def _scores(arm, *values, task='toy'):
    return [Score(arm, task, seed, 'mIoU', value) for seed, value in enumerate(values)]


def test_several_seeds_are_judged_by_their_spread():
    found = _scores('a', 10.0, 12.0, 11.0) + _scores('b', 15.0, 17.2, 16.1)
    (gain,) = find_gains(found, 'b', 'a')
    assert gain.measure == 'mIoU'
    assert 0 < gain.low < 5.1 < gain.high
    (none,) = find_gains(_scores('a', 10.0, 30.0) + _scores('b', 15.0, 31.0), 'b', 'a')
    assert none.low < 0 < none.high
    assert find_gains(found, 'c', 'a') == []


def test_one_seed_is_judged_by_the_images_if_they_are_known(tmp_path):
    found = _scores('a', 50.0) + _scores('b', 60.0)
    (gain,) = find_gains(found, 'b', 'a')
    assert not gain.is_judged
    united = np.full((50, 2), 40)
    samples = {
        ('a', 'toy', 0, 'mIoU'): Overlaps(united // 2, united),
        ('b', 'toy', 0, 'mIoU'): Overlaps(united // 2 + 4, united),
    }
    (gain,) = find_gains(found, 'b', 'a', samples)
    assert gain[1:4] == pytest.approx((10.0, 10.0, 10.0))
    said = write_table(found, ['a', 'b'], tmp_path, samples)
    sentence = 'Against a: b is ahead in mIoU (+10.0 [+10.0, +10.0]).\n'
    assert sentence in said
    assert sentence in (tmp_path / 'table.md').read_text()
    assert 'Difference to a, with the middle 95 % of draws of the test images' in said
    assert '| b | +10.0 [+10.0, +10.0] |' in said
    assert 'confidence' not in said
    assert 'toy: 50 test images.' in said
    alone = write_table(found, ['a', 'b'], tmp_path)
    assert 'Difference to a, of one run each:' in alone
    assert '| b | +10.0 (one seed) |' in alone
    fewer = Overlaps(united[:9], united[:9])  # of a test that was cut short
    (gain,) = find_gains(found, 'b', 'a', {**samples, ('b', 'toy', 0, 'mIoU'): fewer})
    assert not gain.is_judged


def test_a_curve_is_told_by_its_ends():
    gains = [
        Gain('top-1', value, head=(task, 'top-1'))
        for value, task in enumerate(['few', 'half', 'whole', 'other'])
    ]
    fractions = {'pets': {'few': 0.015, 'half': 0.5, 'whole': 1.0}}
    found = at_ends(gains, fractions)
    assert [gain.value for gain in found] == [0, 2, 3]
    assert [gain.measure for gain in found] == [
        'top-1 with 1.5 % of the labels',
        'top-1 with all labels',
        'top-1',
    ]
    two = at_ends(gains, {**fractions, 'cars': {'other': 0.1, 'gone': 0.2}})
    assert two[0].measure == 'pets: top-1 with 1.5 % of the labels'
    assert two[2].measure == 'cars: top-1 with 10 % of the labels'
    assert at_ends(gains, {'pets': {'few': 0.015}}) == gains


def test_measures_of_several_tasks_are_told_apart():
    found = [
        score
        for task in ('x', 'y')
        for arm in ('a', 'b')
        for score in _scores(arm, 1.0, 1.5, task=task)
    ]
    names = [gain.measure for gain in find_gains(found, 'b', 'a')]
    assert names == ['x: mIoU', 'y: mIoU']
