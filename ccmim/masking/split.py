"""Which patches are visible, which are masked, and what stands for the masked ones.

B batch, N patches, V visible, M masked, D width.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.vit import take


class TokenSplit(NamedTuple):
    """A partition of each image's patches.

    Attributes:
        ids_visible: Ids of the visible patches, of shape (B, V), in [0, N).
        ids_masked: Ids of the masked patches, of shape (B, M), with V + M = N, or less
            where a sampler drops patches.
        mask: True where a patch is masked, of shape (B, N).
    """

    ids_visible: Tensor
    ids_masked: Tensor
    mask: Tensor

    @property
    def ids_restore(self) -> Tensor:
        """Where each patch stands in [visible | masked], of shape (B, N), V + M = N."""
        return torch.cat([self.ids_visible, self.ids_masked], dim=1).argsort(dim=1)


def split_tokens(order: Tensor, mask_ratio: float) -> TokenSplit:
    """Split patches in the given order: the first are visible, the rest masked.

    Args:
        order: Permutation of the patch ids of each image, of shape (B, N).
        mask_ratio: Fraction of masked patches; see ``count_visible``.

    Returns:
        The partition.
    """
    num_visible = count_visible(order.shape[1], mask_ratio)
    ids_visible, ids_masked = order[:, :num_visible], order[:, num_visible:]
    mask = torch.zeros_like(order, dtype=torch.bool).scatter_(1, ids_masked, True)
    return TokenSplit(ids_visible, ids_masked, mask)


def count_visible(num_patches: int, mask_ratio: float) -> int:
    """Count the patches that stay visible: ``whole(N * (1 - mask_ratio))``, as in MAE.

    Raises:
        ValueError: If no patch would be visible, or none masked.
    """
    num_visible = whole(num_patches * (1 - mask_ratio))
    if not 0 < num_visible < num_patches:
        raise ValueError(
            f'mask_ratio={mask_ratio} leaves {num_visible} of {num_patches} patches '
            'visible: choose one that leaves and masks at least one patch'
        )
    return num_visible


def whole(count: float) -> int:
    """Round down as exact numbers would be: 100 * (1 - 0.9) is 10."""
    return math.floor(count + 1e-6)


def some_masked(split: TokenSplit, ratio: float) -> TokenSplit:
    """Keep a random fraction of each image's masked patches, to be predicted.

    Neighboring patches hold much the same, so a decoder learns nearly as much from a
    part of them (CrossMAE, https://arxiv.org/abs/2401.14391, section 3.3).

    Args:
        split: Which patches are visible and which are masked.
        ratio: In (0, 1]; at 1 the split is returned as it is and nothing is drawn.

    Returns:
        The split with m = max(1, whole(M * ratio)) masked patches an image, uniformly
        drawn and in the order in which they stood; its ``mask`` marks these alone.
    """
    if ratio == 1:
        return split
    masked = split.ids_masked
    count = max(1, whole(masked.shape[1] * ratio))
    noise = torch.rand(masked.shape, device=masked.device)
    chosen = noise.topk(count, dim=1).indices.sort(dim=1).values
    ids = masked.gather(1, chosen)
    mask = torch.zeros_like(split.mask).scatter_(1, ids, True)
    return TokenSplit(split.ids_visible, ids, mask)


@MODELS.register_module()
class MaskToken(nn.Module):
    """Represent masked patches by one learned vector plus their positions.

    Args:
        dim: Width D of the backbone.
    """

    def __init__(self, dim: Count = 768) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        nn.init.trunc_normal_(self.token, std=0.02, a=-0.02, b=0.02)

    def forward(self, backbone: nn.Module, images: Tensor, ids: Tensor) -> Tensor:
        """Make mask tokens at the positions of masked patches.

        Args:
            backbone: The Vision Transformer whose positions are used.
            images: Normalized images of shape (B, 3, H, W); only their size counts.
            ids: The masked patches, of shape (B, M), in [0, N).

        Returns:
            Tokens of shape (B, M, D), in the order of ``ids``.
        """
        return self.token + backbone.positions(backbone.grid_of(images))[ids]


def encode_with_mask_tokens(
    backbone: nn.Module, mask_token: MaskToken, images: Tensor, split: TokenSplit
) -> Tensor:
    """Encode images whose masked patches are mask tokens.

    Args:
        backbone: The Vision Transformer.
        mask_token: The mask token.
        images: Normalized images of shape (B, 3, H, W).
        split: Which patches are masked.

    Returns:
        The class token, the visible patches and the masked ones, each in the order of
        their ids: (B, 1 + V + M, D).
    """
    visible = backbone.embed(images, split.ids_visible)
    tokens = torch.cat([visible, mask_token(backbone, images, split.ids_masked)], dim=1)
    if not backbone.needs_all:
        return backbone.encode(tokens)
    # Relative and rotary positions are those of patches that come row by row.
    encoded = backbone.encode(take(tokens, split.ids_restore))
    order = torch.cat([split.ids_visible, split.ids_masked], dim=1)
    return torch.cat([encoded[:, :1], take(encoded[:, 1:], order)], dim=1)
