"""The class token's attention with an equal say for every head.

B batch, N patches, H heads.
"""

import torch
from torch import Tensor, nn

from ccmim.masking.block_attention import block_attention
from ccmim.registry import MODELS
from ccmim.vit.attention import refuse_scores


@MODELS.register_module()
class NormalisedAttentionScorer(nn.Module):
    """Score patches by the class token's attention, each head brought to [0, 1].

    AMT (https://arxiv.org/abs/2211.15362): in the last block, every head's attention to
    the patches goes from 0 at its least to 1 at its greatest, and the heads are
    averaged. A plain mean follows the heads that attend most to patches.

    Args:
        block: Whose attention, from the end where negative.
    """

    def __init__(self, block: int = -1) -> None:
        super().__init__()
        self.block = block

    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalised images (B, 3, H, W): (B, N), in [0, 1]."""
        refuse_scores(backbone.attention, backbone.class_token)
        rows = block_attention(backbone, images, self.block, slice(1))  # (B, H, 1, 1+N)
        heads = rows[:, :, 0, backbone.num_prefix :]
        low, high = heads.aminmax(dim=2, keepdim=True)
        span = (high - low).clamp(min=torch.finfo(heads.dtype).tiny)
        return ((heads - low) / span).mean(dim=1)
