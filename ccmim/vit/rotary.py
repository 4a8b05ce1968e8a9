"""DINOv3's rotary position embeddings.

B batch, H heads, T tokens, C channels of a head.
"""

import math

import torch
from torch import Tensor


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
