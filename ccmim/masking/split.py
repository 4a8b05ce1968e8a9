"""Which patches are visible and which are masked.

B batch, N patches, V visible, M masked, D width.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class TokenSplit(NamedTuple):
    """A partition of each image's patches.

    Attributes:
        ids_visible: Ids of the visible patches, of shape (B, V), in [0, N).
        ids_masked: Ids of the masked patches, of shape (B, M), with V + M = N, or less
            where a sampler throws patches away.
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


def take(tokens: Tensor, ids: Tensor) -> Tensor:
    """Gather tokens (B, N, D) by their ids (B, n) into (B, n, D)."""
    return tokens.gather(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def some_masked(split: TokenSplit, ratio: float) -> TokenSplit:
    """Keep a random fraction of each image's masked patches, to be predicted.

    Neighboring patches tell much the same, so a decoder learns nearly as much from a
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
