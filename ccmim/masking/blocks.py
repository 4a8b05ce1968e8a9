"""Block-wise masks: rectangles at random until the budget is spent, as in BEiT.

B batch, N patches.
"""

import math

import torch
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit, count_visible, split_tokens
from ccmim.ranges import Count, PositiveRatio, Sides
from ccmim.registry import MODELS
from ccmim.vit.archs import resolve_grid


@MODELS.register_module()
class BlockSampler(nn.Module):
    """Mask rectangles of random place, area and shape (https://arxiv.org/abs/2106.08254).

    BEiT's rule, for a whole batch at once on the device: a rectangle's area is uniform
    between ``min_area`` and what is left of the budget, the logarithm of its aspect
    ratio uniform; it counts if it fits the grid, masks something new and keeps within
    the budget. What the last rectangles leave over, BEiT does not mask; here it goes to
    random patches, as each image of a batch masks equally many. The scores give only
    shape and device.

    Args:
        img_size: Side or (height, width) of the images in pixels.
        patch_size: Side of a patch in pixels.
        min_area: Smallest area of a rectangle in patches.
        min_aspect: Smallest ratio of height to width, in (0, 1]; the largest is its
            inverse.
        attempts: Rectangles proposed for each image.

    Raises:
        ValueError: If the grid has no room for a rectangle.
    """

    def __init__(
        self,
        img_size: Sides = 224,
        patch_size: Count = 16,
        min_area: Count = 16,
        min_aspect: PositiveRatio = 0.3,
        attempts: Count = 20,
    ) -> None:
        super().__init__()
        self.grid = resolve_grid(img_size, patch_size)
        if min_area >= math.prod(self.grid):
            raise ValueError(
                f'min_area={min_area} must lie in [1, {math.prod(self.grid) - 1}]'
            )
        self.min_area = min_area
        self.min_aspect = min_aspect
        self.attempts = attempts

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N).

        Raises:
            ValueError: If there are not as many scores as the images have patches.
        """
        batch, num_patches = scores.shape
        if num_patches != math.prod(self.grid):
            raise ValueError(
                f'img_size of BlockSampler gives {math.prod(self.grid)} patches, the '
                f'images have {num_patches}: set it to the size of the crops'
            )
        budget = num_patches - count_visible(num_patches, mask_ratio)
        masked = torch.zeros(batch, *self.grid, dtype=torch.bool, device=scores.device)
        for _ in range(self.attempts):
            left = budget - masked.sum(dim=(1, 2))
            proposed = masked | self._rectangles(left)
            new = proposed.sum(dim=(1, 2)) - masked.sum(dim=(1, 2))
            masked = torch.where((new <= left)[:, None, None], proposed, masked)
        rest = torch.rand(scores.shape, device=scores.device)
        return split_tokens((masked.flatten(1) + rest).argsort(dim=1), mask_ratio)

    def _rectangles(self, left: Tensor) -> Tensor:
        # One for each image, (B, rows, columns); an empty one where it does not fit.
        draws = torch.rand((4, len(left)), device=left.device)
        area = self.min_area + draws[0] * (left - self.min_area)
        aspect = self.min_aspect ** (2 * draws[1] - 1)
        inside, spans = torch.ones_like(left, dtype=torch.bool), []
        for extent, length, where in (
            (self.grid[0], (area * aspect).sqrt().round(), draws[2]),
            (self.grid[1], (area / aspect).sqrt().round(), draws[3]),
        ):
            inside = inside & (length < extent)
            start = (where * (extent - length + 1)).floor()
            index = torch.arange(extent, device=left.device)
            span = (index >= start[:, None]) & (index < (start + length)[:, None])
            spans.append(span)
        return spans[0][:, :, None] & spans[1][:, None, :] & inside[:, None, None]
