"""CrossMAE's decoder: masked tokens attend to visible ones, not to each other.

B batch, V visible, M masked, D width of the encoder, P patch side.
"""

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import Tensor, nn

from ccmim.heads.mae_decoder import MAEDecoder, decoder_positions
from ccmim.masking import TokenSplit, take
from ccmim.registry import MODELS
from ccmim.vit import LayerNorm


class _CrossBlock(nn.Module):
    """Attention of the masked tokens to the visible ones, and an MLP."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(
                f'embed_dim={dim} must be a multiple of num_heads={num_heads}'
            )
        self.num_heads = num_heads
        self.norm1, self.norm_memory = LayerNorm(dim), LayerNorm(dim)
        self.q, self.kv = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Transform masked tokens (B, M, C) that see visible ones (B, 1 + V, C)."""
        queries = self._heads(self.q(self.norm1(x)))
        keys, values = self.kv(self.norm_memory(memory)).chunk(2, dim=-1)
        seen = F.scaled_dot_product_attention(
            queries, self._heads(keys), self._heads(values)
        )
        x = x + self.proj(seen.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


@MODELS.register_module()
class CrossDecoder(MAEDecoder):
    """Predict masked patches by cross-attention to the encoded visible ones.

    As in CrossMAE (https://arxiv.org/abs/2401.14391): a masked patch is predicted
    without regard to the other masked ones, so any fraction of them can be left out
    (``decoded_ratio`` of the method) and the rest comes out the same. Unlike there,
    every block looks at the encoder's last tokens, not at a learned mixture of all its
    blocks.

    Its arguments are those of ``MAEDecoder``.
    """

    make_block = _CrossBlock

    def forward(self, visible: Tensor, split: TokenSplit) -> Tensor:
        """Predict the pixels of the masked patches.

        Args:
            visible: Encoded class token and visible patches, of shape (B, 1 + V, D).
            split: Which patches are visible and which are to be predicted.

        Returns:
            Patches of shape (B, M, 3 * P * P), in the order of ``ids_masked``.
        """
        table = decoder_positions(self.pos_embed, self.grid, split)
        positions = table.expand(len(visible), -1, -1)
        seen = take(positions[:, 1:], split.ids_visible)
        memory = self.embed(visible) + torch.cat([positions[:, :1], seen], dim=1)
        x = self.mask_token.to(memory.dtype) + take(positions[:, 1:], split.ids_masked)
        for block in self.blocks:
            x = block(x, memory)
        return self.pred(self.norm(x))
