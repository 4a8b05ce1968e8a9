"""Attention inside windows of the patch grid, for large images.

B batch, N patches, D width; tokens here come without a class token.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def attend_in_windows(
    attention: Callable[[Tensor], Tensor], x: Tensor, grid: tuple[int, int], window: int
) -> Tensor:
    """Apply attention to each window of the grid on its own.

    The grid is padded on the right and bottom with zero tokens to whole windows, which
    take part in the attention, as in ViTDet (https://arxiv.org/abs/2203.16527).

    Args:
        attention: What maps (B, N, D) to (B, N, D).
        x: Patch tokens of shape (B, rows * columns, D).
        grid: Rows and columns of patches.
        window: Side of a window in patches.

    Returns:
        Tokens of shape (B, rows * columns, D).
    """
    batch, _, dim = x.shape
    rows, columns = grid
    pad_rows, pad_columns = -rows % window, -columns % window
    down, across = (rows + pad_rows) // window, (columns + pad_columns) // window

    x = x.reshape(batch, rows, columns, dim)
    x = F.pad(x, (0, 0, 0, pad_columns, 0, pad_rows))
    x = x.reshape(batch, down, window, across, window, dim).transpose(2, 3)
    x = attention(x.reshape(-1, window * window, dim))
    x = x.reshape(batch, down, across, window, window, dim).transpose(2, 3)
    x = x.reshape(batch, rows + pad_rows, columns + pad_columns, dim)
    return x[:, :rows, :columns].reshape(batch, rows * columns, dim)
