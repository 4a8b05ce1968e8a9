"""Where the parts of an object lie, as seen from its most telling one.

B batch, N patches on a grid (h, w), D width, C channels of the structure.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.losses.object_extent import standardize
from ccmim.masking import take
from ccmim.ranges import Count, HeightWidth, NonNegative
from ccmim.registry import MODELS
from ccmim.vit import draw_linear


@MODELS.register_module()
class SpatialContext(nn.Module):
    """Predict distance and direction of each part of an object from its anchor.

    The spatial context learning of LIO (https://arxiv.org/abs/2003.14142): the anchor
    is the patch of the object with the greatest mean structure, and from its structure
    and that of another patch a linear layer predicts where this one is. The mean of all
    errors of direction is taken off, so that a turned object has the same loss.

    The published code has a ReLU behind the last layer, after which it can die, and
    compares the anchor with itself; here neither is so. Its other choices are kept:
    squares, distances over the side of the grid, a mean over all patches.

    Args:
        in_dim: Width D of the patches.
        dim: Channels C.
        weight: Factor of the loss.
    """

    def __init__(
        self, in_dim: Count = 768, dim: Count = 256, weight: NonNegative = 0.1
    ) -> None:
        super().__init__()
        self.weight = weight
        self.structure = nn.Linear(in_dim, dim)
        self.place = nn.Linear(2 * dim, 2)
        self.apply(draw_linear)

    def forward(
        self, patches: Tensor, grid: HeightWidth, extent: Tensor | None = None
    ) -> Tensor:
        """Compute the weighted loss, a scalar.

        Args:
            patches: Of shape (B, N, D); B may be 0.
            grid: Their rows and columns.
            extent: How much each patch belongs to the object, (B, N); those above the
                mean do. All do when None.
        """
        structure = F.relu(self.structure(standardize(patches)))  # (B, N, C)
        inside = structure.new_ones(structure.shape[:2])
        if extent is not None:
            inside = (extent > extent.mean(dim=1, keepdim=True)).to(inside.dtype)
        anchor = (structure.mean(dim=2) * inside).argmax(dim=1, keepdim=True)  # (B, 1)
        pairs = [take(structure, anchor).expand_as(structure), structure]
        pred = self.place(torch.cat(pairs, dim=2))  # (B, N, 2)
        pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
        distance, angle = (x.to(pred.dtype) for x in seen_from(anchor, grid))
        number = torch.arange(structure.shape[1], device=anchor.device)
        others = (number != anchor).to(pred.dtype)
        turn = (pred[..., 1] - angle) % 1.0
        mean = (turn * others).sum(dim=1, keepdim=True) / max(len(number) - 1, 1)
        error = (pred[..., 0] - distance).square() + (turn - mean).square()
        error = error * others * inside
        return self.weight * error.sum() / max(error.numel(), 1)


def seen_from(anchor: Tensor, grid: HeightWidth) -> tuple[Tensor, Tensor]:
    """Compute where the patches of a grid lie from an anchor.

    Args:
        anchor: Its number, (B, 1).
        grid: Rows h and columns w.

    Returns:
        Distances over the longer side, and directions in (0, 1], both (B, h * w).
    """
    height, width = grid
    number = torch.arange(height * width, device=anchor.device)
    down = (number // width - anchor // width).double() / max(grid)
    right = (number % width - anchor % width).double() / max(grid)
    return torch.hypot(down, right), (torch.atan2(right, down) / math.pi + 1) / 2
