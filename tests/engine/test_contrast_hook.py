"""The share of images that are told from the others."""

import torch

from ccmim.engine.hooks.contrast import pair_accuracy, view_accuracy


def test_pairs():
    keys = torch.eye(4)
    assert pair_accuracy(3 * keys, 0.1 * keys) == 1
    assert pair_accuracy(keys[[0, 1, 3, 2]], keys) == 0.5
    long = keys * torch.tensor([1.0, 1, 1, 9])[:, None]  # length does not count
    assert pair_accuracy(keys + 0.5 * keys[3], long) == 1


def test_views():
    first = torch.eye(4)
    assert view_accuracy(torch.cat([first, first])) == 1
    mixed = torch.cat([first, first[[0, 1, 3, 2]]])
    assert view_accuracy(mixed) == 0.5  # a view is never its own neighbour
