"""Scores of a whole picture, cut out and turned as its pixels were.

B batch, I pictures, N patches.
"""

import torch
from torch import Tensor


def crop_maps(maps: Tensor, places: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average maps over the area that each patch of a crop covers.

    A map is constant within its cells. What a patch covers is a rectangle, so the area
    that it shares with a cell is a product of two lengths, and the mean over it two
    small matrix products.

    Args:
        maps: Of whole pictures, of shape (B, rows, columns).
        places: (top, bottom, left, right) of each crop in shares of its picture's
            height and width, of shape (B, 4). Left beyond right says that the crop was
            mirrored.
        grid: Rows and columns of the patches of the crop.

    Returns:
        Scores of shape (B, N), row by row.
    """
    top, bottom, left, right = places.to(maps.dtype).unbind(dim=1)
    rows = _overlap(top, bottom, grid[0], maps.shape[1])  # (B, grid rows, map rows)
    columns = _overlap(left, right, grid[1], maps.shape[2])
    return (rows @ maps @ columns.transpose(1, 2)).flatten(1)


def _overlap(start: Tensor, stop: Tensor, parts: int, cells: int) -> Tensor:
    # Which share of each part of start..stop lies in each cell: (B, parts, cells).
    ticks = torch.arange(parts + 1, device=start.device) / parts
    edges = start[:, None] + (stop - start)[:, None] * ticks  # (B, parts + 1)
    ends = torch.stack([edges[:, :-1], edges[:, 1:]]).sort(dim=0).values[..., None]
    cell = torch.arange(cells, device=start.device, dtype=start.dtype)
    shared = ends[1].minimum((cell + 1) / cells) - ends[0].maximum(cell / cells)
    return shared.clamp(min=0) / (ends[1] - ends[0])
