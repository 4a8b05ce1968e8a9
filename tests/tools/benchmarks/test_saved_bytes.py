"""Bytes that are kept for the backward pass are counted once, weights not at all."""

import torch
from torch import nn

from benchmarks.saved_bytes import saved_bytes


def test_two_linear_layers():
    """Kept: the input (4 x 3) and the hidden values (4 x 5), in float32."""
    net = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    x = torch.randn(4, 3)
    assert saved_bytes(lambda: net(x), net.parameters()) == 4 * (3 + 5) * 4
    weights = (5 * 3 + 2 * 5) * 4
    # The first weight is not kept, as its input wants no gradient.
    assert saved_bytes(lambda: net(x), ()) == 4 * (3 + 5) * 4 + weights - 5 * 3 * 4


def test_a_tensor_kept_twice_counts_once():
    x = torch.randn(10, requires_grad=True)
    assert saved_bytes(lambda: (x * 2).sin() + x.cos(), ()) == 2 * 40
    assert saved_bytes(lambda: x.sin() + x.cos(), ()) == 40
    assert saved_bytes(lambda: x.sin() + x.cos(), [x]) == 0


def test_nothing_is_kept_without_gradient():
    x = torch.randn(10, requires_grad=True)
    with torch.no_grad():
        assert saved_bytes(x.sin, ()) == 0
