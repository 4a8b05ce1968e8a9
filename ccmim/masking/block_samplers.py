"""Masks of areas larger than a patch: random rectangles, and squares.

B batch, N patches, U units of an image, S patches of a unit.
"""

import math

import torch
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit, count_visible, split_tokens
from ccmim.ranges import Count, Part, PositiveRatio, Sides
from ccmim.registry import MODELS, build_part
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
        size, shape, down, across = torch.rand((4, len(left)), device=left.device)
        area = self.min_area + size * (left - self.min_area)
        aspect = self.min_aspect ** (2 * shape - 1)
        inside, spans = torch.ones_like(left, dtype=torch.bool), []
        for extent, length, where in (
            (self.grid[0], (area * aspect).sqrt().round(), down),
            (self.grid[1], (area / aspect).sqrt().round(), across),
        ):
            inside = inside & (length < extent)
            start = (where * (extent - length + 1)).floor()
            index = torch.arange(extent, device=left.device)
            span = (index >= start[:, None]) & (index < (start + length)[:, None])
            spans.append(span)
        return spans[0][:, :, None] & spans[1][:, None, :] & inside[:, None, None]


@MODELS.register_module()
class MaskUnitSampler(nn.Module):
    """Mask whole squares of patches, chosen by another sampler.

    SimMIM (https://arxiv.org/abs/2111.09886) and ConMIM draw squares of 32 pixels at
    random. A unit's score is the mean of its patches'.

    Args:
        sampler: Config of the sampler that masks units by their scores.
        unit_size: Side of a unit in pixels; a multiple of ``patch_size``.
        img_size: Side or (height, width) of the images in pixels.
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: If patches do not fill units, or units not images.
    """

    members: Tensor  # ids of each unit's patches, of shape (U, S)

    def __init__(
        self,
        sampler: Part,
        unit_size: Count = 32,
        img_size: Sides = 224,
        patch_size: Count = 16,
    ) -> None:
        super().__init__()
        rows, columns = resolve_grid(img_size, patch_size)
        side = unit_size // patch_size
        if unit_size % patch_size or rows % side or columns % side:
            raise ValueError(
                f'unit_size={unit_size} must be a multiple of patch_size={patch_size} '
                f'and divide img_size={img_size}'
            )
        # Of the units it is as of patches: a grid of squares of side 1.
        units = rows // side, columns // side
        self.sampler = build_part(sampler, img_size=units, patch_size=1)
        ids = torch.arange(rows * columns)
        ids = ids.reshape(rows // side, side, columns // side, side).transpose(1, 2)
        self.register_buffer('members', ids.reshape(-1, side**2), persistent=False)

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N).

        Raises:
            ValueError: If there are not as many scores as the images have patches.
        """
        if scores.shape[1] != self.members.numel():
            raise ValueError(
                f'img_size of MaskUnitSampler gives {self.members.numel()} patches, '
                f'the images have {scores.shape[1]}: set it to the size of the crops'
            )
        units = self.sampler(scores[:, self.members].mean(dim=2), mask_ratio)  # (B, U)
        visible = self.members[units.ids_visible].flatten(1)
        masked = self.members[units.ids_masked].flatten(1)
        mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, masked, True)
        return TokenSplit(visible, masked, mask)
