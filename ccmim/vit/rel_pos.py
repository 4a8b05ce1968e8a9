"""Positions inside attention: BEiT's tables of relative ones, DINOv3's rotary ones.

A table for R x C patches has (2R - 1)(2C - 1) rows, one for each offset between two
patches, then three for class token to patch, patch to class token and class token to
itself; one column for each head H. B batch, T tokens, C channels of a head.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

TABLE = 'relative_position_bias_table'


def table_length(grid: tuple[int, int]) -> int:
    """Count the rows of a table for a grid of patches."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3


def table_grid(length: int) -> tuple[int, int] | None:
    """Return the grid of a table of so many rows, None if the grid is not square."""
    side = round(abs(length - 3) ** 0.5) // 2 + 1
    return (side, side) if table_length((side, side)) == length else None


def relative_bias(
    table: Tensor, held: tuple[int, int], grid: tuple[int, int], class_token: bool
) -> Tensor:
    """Look up what is added to the logit of each pair of tokens.

    Args:
        table: Of shape (``table_length(held)``, H).
        held: Grid that the table is for.
        grid: Rows and columns of the patches at hand; N of them.
        class_token: Whether a class token precedes them.

    Returns:
        Bias of shape (H, N, N) or (H, 1 + N, 1 + N), queries before keys.
    """
    offsets = resample_table(table, held, grid)[:-3].T
    (rows, columns), heads = grid, table.shape[1]
    offsets = offsets.unflatten(1, (2 * rows - 1, 2 * columns - 1))
    pairs = matrix_of_offsets(offsets, grid)  # (H, N, N)
    if not class_token:
        return pairs
    count = rows * columns
    from_class, to_class, itself = table[-3:, :, None, None]
    pairs = torch.cat([to_class.expand(heads, count, 1), pairs], dim=2)
    top = torch.cat([itself, from_class.expand(heads, 1, count)], dim=2)
    return torch.cat([top, pairs], dim=1)


def matrix_of_offsets(offsets: Tensor, grid: tuple[int, int]) -> Tensor:
    """Look up the entry of each pair of patches by their offset.

    Args:
        offsets: Of shape (..., 2 rows - 1, 2 columns - 1).
        grid: Rows and columns of the patches, N of them.

    Returns:
        Matrix of shape (..., N, N): at (a, b) the entry of the offset a - b.
    """
    # A view, until it is flattened, so that no index of N * N is kept.
    windows = offsets.unfold(-2, grid[0], 1).unfold(-2, grid[1], 1).flip(-2, -1)
    return windows.flatten(-2).flatten(-3, -2)


def resample_table(table: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Fit a table to another grid.

    A smaller grid takes the near offsets as they are. A larger one keeps the nearest
    and draws the far ones apart in a geometric progression, linearly interpolated, as
    BEiT's published fine-tuning does (https://arxiv.org/abs/2106.08254).

    Args:
        table: Of shape (``table_length(old)``, H).
        old: Grid of ``table``.
        new: Wanted grid.

    Returns:
        Table of shape (``table_length(new)``, H); ``table`` itself when the grids
        agree.
    """
    if old == new:
        return table
    offsets = table[:-3].unflatten(0, (2 * old[0] - 1, 2 * old[1] - 1))
    down, across = (
        _interpolation(a, b).to(table) for a, b in zip(old, new, strict=True)
    )
    offsets = torch.einsum('ar,bc,rch->abh', down, across, offsets)
    return torch.cat([offsets.flatten(0, 1), table[-3:]])


def rotary_angles(
    grid: tuple[int, int],
    width: int,
    theta: float,
    span: tuple[int, int] | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Compute the angle of each patch and channel (https://arxiv.org/abs/2508.10104).

    Centers of patches lie in [-1, 1] on either axis, whatever the size of the image;
    a quarter of the channels has the periods ``theta ** (4 i / C)`` along the rows, the
    next along the columns, and the second half repeats the first.

    Args:
        grid: Rows and columns of the patches at hand.
        width: Channels C of a head, a multiple of 4.
        theta: Longest period, about.
        span: Rows and columns of the whole image, where ``grid`` is a window of it.
        device: Where to compute.

    Returns:
        Angles of shape (rows * columns, C).
    """
    axes = [
        2 * (torch.arange(side, device=device, dtype=torch.float32) + 0.5) / whole - 1
        for side, whole in zip(grid, span or grid, strict=True)
    ]
    positions = torch.stack(torch.meshgrid(*axes, indexing='ij'), dim=-1).flatten(0, 1)
    steps = torch.arange(0, 1, 4 / width, device=device, dtype=torch.float32)
    angles = 2 * math.pi * positions.unsqueeze(-1) / theta**steps  # (N, 2, C / 4)
    return angles.flatten(1).tile(2)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the last tokens of (B, H, T, C) by their angles (N, C); others stay.

    What comes before the patches, class token and registers, has no position.
    """
    prefix = x.shape[2] - len(angles)
    patches = x[:, :, prefix:]
    first, second = patches.chunk(2, dim=-1)
    turned = patches * angles.cos() + torch.cat([-second, first], -1) * angles.sin()
    return torch.cat([x[:, :, :prefix], turned.to(x.dtype)], dim=2)


def resample_loaded_tables(
    module: Any, state: dict[str, Any], prefix: str, *_: Any
) -> None:
    """Fit a checkpoint's tables, of square grids, to a module's grids on loading.

    A hook for ``register_load_state_dict_pre_hook``.

    Args:
        module: Network with ``blocks``.
        state: What is being loaded; its tables are replaced.
        prefix: Of the module's names in ``state``.

    Raises:
        ValueError: If a table must be resampled and its grid is not square.
    """
    for i, block in enumerate(module.blocks):
        name = f'{prefix}blocks.{i}.attn.{TABLE}'
        table, own = state.get(name), getattr(block.attn, TABLE, None)
        if table is None or own is None or table.shape == own.shape:
            continue
        if table.shape[1:] != own.shape[1:]:
            continue  # another number of heads: refused as any other shape
        held = table_grid(len(table))
        if held is None:
            raise ValueError(
                f'{name} has shape {tuple(table.shape)}, of no square grid: set '
                'img_size to the size it was trained with'
            )
        state[name] = resample_table(table, held, block.attn.rel_pos_grid)


@torch.compiler.disable  # the compiler reads neither SciPy nor a cache
@lru_cache
def _interpolation(old: int, new: int) -> Tensor:
    """Compute weights (2 new - 1, 2 old - 1) from offsets of one side to another's."""
    steps = np.arange(old)
    if new > old > 2:
        # Distances 1, 1 + q, 1 + q + q^2, ... of which the last is new - 1.
        def excess(q: float) -> float:
            return float((q ** np.arange(old - 1)).sum() - (new - 1))

        from scipy.optimize import brentq  # of a second, and rarely wanted

        ratio = brentq(excess, 1, new, xtol=1e-12)
        steps = np.concatenate([[0], (ratio ** np.arange(old - 1)).cumsum()])
    positions = np.concatenate([-steps[:0:-1], steps])
    wanted = np.arange(1 - new, new)
    weights = [np.interp(wanted, positions, row) for row in np.eye(2 * old - 1)]
    return torch.from_numpy(np.stack(weights, axis=1))
