"""Patch features as colors, by PCA.

B batch, N patches, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.pictures.photos import normalized
from ccmim.pictures.tiles import SIDE, enlarge, named, sheet, spread, tile_size


def principal_colors(features: Tensor, *others: Tensor) -> list[Tensor]:
    """Turn features into colors by their first three principal components.

    Mean and components are those of all patches of all images together, so that a
    color means the same in each of them. Red is the first component, green the second,
    blue the third; each is scaled so that the middle 98 per cent fill its range.

    Args:
        features: Of shape (B, N, D).
        others: More features, colored by the components of the first.

    Returns:
        Colors in [0, 1], each of shape (B, N, 3), on the host.
    """
    flat = features.double().cpu().flatten(0, 1)
    mean = flat.mean(dim=0)
    axes = principal_axes(flat - mean, 3)
    low, high = ((flat - mean) @ axes).quantile(torch.tensor([0.01, 0.99]).double(), 0)
    return [
        (((x.double().cpu() - mean) @ axes - low) / (high - low).clamp(min=1e-12))
        .clamp(0, 1)
        .float()
        for x in (features, *others)
    ]


def principal_axes(centered: Tensor, count: int) -> Tensor:
    """Find the directions of greatest variance, the greatest first.

    Args:
        centered: Features without their mean, of shape (n, D).
        count: Number of directions.

    Returns:
        Unit vectors of shape (D, count), the largest entry of each positive, so that
        the same features always give the same colors; zero beyond D.
    """
    _, axes = torch.linalg.eigh(centered.T @ centered)  # ascending
    axes = axes.flip(1)[:, :count]
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    return F.pad(axes, (0, count - axes.shape[1]))


@torch.no_grad()
def color_sheet(
    backbone: nn.Module,
    images: Tensor,
    side: int = SIDE,
    names: Sequence[str] = (),
) -> np.ndarray:
    """Draw each image beside its patches in the colors of ``principal_colors``.

    Args:
        backbone: Vision Transformer, in evaluation mode.
        images: uint8 RGB images of shape (B, 3, H, W).
        side: Pixels of a tile's longer side, about.
        names: Of the files.

    Returns:
        A uint8 RGB picture of shape (height, width, 3).
    """
    tokens = backbone.encode(backbone.embed(normalized(images, backbone)))
    (colors,) = principal_colors(tokens[:, 1:])
    size = tile_size(grid := backbone.grid_of(images), side)
    tiles = (255 * spread(colors, grid, size)).round().astype(np.uint8)
    shown = named(enlarge(images / 255, size), names)
    columns = {'image': shown, 'patch features': tiles}
    caption = (
        'First three principal components of the features as red, green and blue: '
        'alike in color, alike in features, across all images.'
    )
    return sheet(columns, blocks=3, caption=caption)
