"""Masks made of squares larger than a patch.

B batch, N patches, U units of an image, S patches of a unit.
"""

import torch
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit
from ccmim.ranges import Count, Part, Sides
from ccmim.registry import MODELS, build_part
from ccmim.vit.archs import resolve_grid


@MODELS.register_module()
class UnitSampler(nn.Module):
    """Mask whole squares of patches, chosen by another sampler.

    SimMIM (https://arxiv.org/abs/2111.09886) and ConMIM draw squares of 32 pixels at
    random. A unit's score is the mean of its patches'.

    Args:
        sampler: Config of what draws a mask of the units from their scores.
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
        if side < 1 or unit_size % patch_size or rows % side or columns % side:
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
                f'img_size of UnitSampler gives {self.members.numel()} patches, the '
                f'images have {scores.shape[1]}: set it to the size of the crops'
            )
        units = self.sampler(scores[:, self.members].mean(dim=2), mask_ratio)  # (B, U)
        visible = self.members[units.ids_visible].flatten(1)
        masked = self.members[units.ids_masked].flatten(1)
        mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, masked, True)
        return TokenSplit(visible, masked, mask)
