"""Fixed positions follow MAE's formula and layout."""

import math

import pytest
import torch

from ccmim.vit import resample_pos_embed, sincos_pos_embed


def test_formula():
    """Entry by entry, for a grid that is not square."""
    dim, rows, columns = 16, 2, 3
    table = sincos_pos_embed(dim, (rows, columns))
    assert table.shape == (1, 7, 16)
    assert table[0, 0].abs().max() == 0
    for row in range(rows):
        for column in range(columns):
            expected = []
            for position in (column, row):
                angles = [position / 10000 ** (i / 4) for i in range(4)]
                expected += [math.sin(a) for a in angles]
                expected += [math.cos(a) for a in angles]
            entry = table[0, 1 + row * columns + column].tolist()
            assert entry == pytest.approx(expected, abs=1e-6)


def test_resampling_keeps_the_class_token_and_the_same_grid():
    table = torch.randn(1, 17, 8)
    assert resample_pos_embed(table, (4, 4), (4, 4)) is table
    resized = resample_pos_embed(table, (4, 4), (6, 3))
    assert resized.shape == (1, 19, 8)
    assert torch.equal(resized[:, 0], table[:, 0])


def test_resampling_keeps_a_linear_ramp():
    """In the middle, where the border does not matter, a ramp stays a ramp."""
    ramp = torch.arange(8.0).reshape(1, 8, 1).expand(8, 8, 1)
    table = torch.cat([torch.zeros(1, 1, 1), ramp.reshape(1, 64, 1)], dim=1)
    resized = resample_pos_embed(table, (8, 8), (16, 16))[0, 1:].reshape(16, 16)
    steps = resized[8].diff()[4:11]
    assert steps.tolist() == pytest.approx([0.5] * 7, abs=0.02)
