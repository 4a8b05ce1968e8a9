"""Fixed positions follow MAE's formula and layout."""

import math

import pytest
import torch
import torch.nn.functional as F

from ccmim.vit import resample_pos_embed, sincos_pos_embed
from ccmim.vit.embedding import fixed_grid, square_grid


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


@pytest.mark.parametrize('grid', [(4, 4), (2, 8), (8, 2), (1, 16), (3, 5), (1, 1)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_fixed_positions_tell_their_grid(grid, dtype):
    """Of grids with as many patches too, and after rounding."""
    assert fixed_grid(sincos_pos_embed(16, grid).to(dtype)) == grid


@pytest.mark.parametrize(
    'table',
    [
        sincos_pos_embed(16, (4, 4)) + 0.1,
        resample_pos_embed(sincos_pos_embed(16, (4, 4)), (4, 4), (2, 8)),
        torch.zeros(1, 17, 6),
        torch.zeros(17, 16),
        torch.zeros(1, 17, 16, dtype=torch.int64),
        torch.zeros(1, 1, 16),
    ],
)
def test_other_positions_are_of_no_fixed_grid(table):
    assert fixed_grid(table) is None


def test_square_grids():
    sizes = {n: square_grid(torch.zeros(1, 1 + n, 4)) for n in (0, 1, 2, 16, 17)}
    assert sizes == {0: None, 1: (1, 1), 2: None, 16: (4, 4), 17: None}


@pytest.mark.parametrize('held', [(2, 8), (3, 5)])
def test_fixed_positions_of_another_grid_are_resampled_on_loading(tiny_vit, held):
    """As many patches in another arrangement are not the same positions."""
    vit, side = tiny_vit(), tiny_vit().grid[0]
    table = sincos_pos_embed(vit.embed_dim, held)
    vit.load_state_dict(vit.state_dict() | dict(pos_embed=table))
    assert torch.equal(vit.pos_embed, resample_pos_embed(table, held, (side, side)))


def test_learned_positions_of_as_many_patches_are_kept(tiny_vit):
    vit = tiny_vit(pos_embed='learned', img_size=(16, 64), arch=dict(depth=1))
    table = torch.randn_like(vit.pos_embed)
    vit.load_state_dict(vit.state_dict() | dict(pos_embed=table))
    assert torch.equal(vit.pos_embed, table)


@pytest.mark.parametrize('size', [(32, 128), (128, 32)])
def test_learned_positions_of_as_many_patches_in_another_grid(tiny_vit, size, capsys):
    """Weights of ours tell their grid; of others one line says what is assumed."""
    there = tiny_vit(pos_embed='learned', img_size=size)
    here = tiny_vit(pos_embed='learned')
    here.load_state_dict(there.state_dict())
    expected = resample_pos_embed(there.pos_embed, there.grid, here.grid)
    assert torch.equal(here.pos_embed, expected)
    square = {**here.state_dict()}  # a plain dict, as other libraries write it
    there.load_state_dict(square)
    assert torch.equal(there.pos_embed, here.pos_embed)
    grid = '{} x {}'.format(*there.grid)
    assert f'taken for the {grid} of img_size, not for 4 x 4' in capsys.readouterr().out
    here.load_state_dict(square)
    assert 'taken' not in capsys.readouterr().out


def test_other_resamplings_are_of_sizes_or_of_factors():
    table, old, new = torch.randn(1, 13, 8).bfloat16(), (3, 4), (5, 6)
    grid = table[:, 1:].float().reshape(1, 3, 4, 8).permute(0, 3, 1, 2)
    factors = dict(scale_factor=(5.1 / 3, 6.1 / 4))
    for how, options in (('bicubic', dict(size=new)), ('dinov2', factors)):
        found = resample_pos_embed(table, old, new, how)
        expected = F.interpolate(grid, mode='bicubic', **options)
        assert torch.equal(found[:, 0], table[:, 0])
        expected = expected.permute(0, 2, 3, 1).reshape(1, 30, 8).bfloat16()
        assert torch.equal(found[:, 1:], expected)
