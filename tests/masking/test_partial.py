"""A fraction of the masked patches is predicted, each as often as the others."""

import pytest
import torch

from ccmim.masking import RandomSampler, some_masked


@pytest.fixture
def split():
    torch.manual_seed(0)
    return RandomSampler()(torch.ones(2000, 16), 0.75)


def test_all_of_them_are_the_split_itself_and_draw_nothing(split):
    state = torch.get_rng_state()
    assert some_masked(split, 1.0) is split
    assert torch.equal(torch.get_rng_state(), state)


def test_a_quarter_of_the_masked_is_drawn_evenly(split):
    some = some_masked(split, 0.25)
    assert some.ids_masked.shape == (2000, 3)
    assert torch.equal(some.ids_visible, split.ids_visible)
    among = (some.ids_masked[:, :, None] == split.ids_masked[:, None]).int()
    assert (among.sum(2) == 1).all()  # each is one of the masked ...
    assert (among.sum(1) <= 1).all()  # ... and none comes twice
    frequency = among.sum(1).double().mean(0)  # of each place among the masked
    assert (frequency - 0.25).abs().max() < 0.05
    assert some.mask.gather(1, some.ids_masked).all()
    assert (some.mask.sum(1) == 3).all()


def test_counts_are_those_of_exact_numbers():
    """100 * 0.29 is 28.999... in floats."""
    half = RandomSampler()(torch.ones(1, 200), 0.5)
    assert some_masked(half, 0.29).ids_masked.shape == (1, 29)


def test_they_stand_in_the_order_in_which_they_stood(split):
    """A decoder's predictions are paired with them by their place."""
    some = some_masked(split, 0.5)
    places = (some.ids_masked[:, :, None] == split.ids_masked[:, None]).int().argmax(2)
    assert (places.diff(dim=1) > 0).all()
    assert (some.ids_masked.diff(dim=1) < 0).any()  # which is not that of the ids


def test_at_least_one_is_kept(split):
    assert some_masked(split, 1e-9).ids_masked.shape == (2000, 1)
