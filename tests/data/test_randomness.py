import random
from itertools import islice

import numpy as np
import pytest
import torch

from ccmim.data.randomness import SampleKey, replacements, seeded, visit_order

DRAWS = 0.1775443, 0.9633872, 0.5354776  # of Python, numpy and torch
ORDER = [7, 5, 6, 2, 0, 3, 4, 1]
REPLACEMENTS = [2, 5, 6, 3, 1, 7]


def _draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


def _seeded_draws(*key):
    with seeded(SampleKey(*key)):
        return _draws()


def test_the_numbers_are_a_function_of_the_key():
    first = _seeded_draws(1, 2, 3)
    _draws()
    assert _seeded_draws(1, 2, 3) == first


def test_the_numbers_are_those_of_earlier_releases():
    assert _seeded_draws(1, 2, 3) == pytest.approx(DRAWS, abs=1e-6)
    assert visit_order(5, 2, 8).tolist() == ORDER
    assert [*islice(replacements(SampleKey(1, 2, 3), 9), 6)] == REPLACEMENTS


@pytest.mark.parametrize('other', [(0, 2, 3), (1, 3, 3), (1, 2, 4), (3, 2, 1)])
def test_every_part_of_the_key_counts_for_every_generator(other):
    pairs = zip(_seeded_draws(1, 2, 3), _seeded_draws(*other), strict=True)
    assert all(a != b for a, b in pairs)


def test_keys_that_follow_each_other_give_unrelated_uniform_numbers():
    draws = np.array([_seeded_draws(0, 0, i) for i in range(2000)])
    assert abs(draws.mean(0) - 0.5).max() < 0.03
    assert abs(np.corrcoef(draws[1:].T, draws[:-1].T) - np.eye(6)).max() < 0.1


@pytest.mark.parametrize('fails', [False, True])
def test_the_generators_are_left_as_they_were(fails):
    def draws():
        # An odd number of normals leaves one in numpy's cache: it must survive.
        return (*_draws(), random.gauss(0, 1), np.random.randn(), torch.randn(()))

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    expected = [draws() for _ in range(3)]
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    actual = []
    for i in range(3):
        actual.append(draws())
        try:
            with seeded(SampleKey(7, 7, i)):
                draws()
                if fails:
                    raise KeyError
        except KeyError:
            pass
    assert actual == expected


def test_visit_orders_are_permutations_that_differ():
    orders = [visit_order(5, visit, 50) for visit in range(4)] + [visit_order(6, 0, 50)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    assert (visit_order(5, 2, 50) == orders[2]).all()


def test_replacements_reach_every_sample_and_depend_on_the_key():
    def take(*key):
        return [*islice(replacements(SampleKey(*key), 5), 60)]

    assert set(take(0, 0, 0)) == set(range(5))
    assert take(0, 0, 0) == take(0, 0, 0)
    assert take(0, 0, 0) != take(0, 1, 0)
