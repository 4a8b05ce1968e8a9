"""The learned token that stands for a masked patch in the encoder's input.

B batch, N patches, V visible, M masked, D width.
"""

import torch
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit, take
from ccmim.ranges import Count
from ccmim.registry import MODELS


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
