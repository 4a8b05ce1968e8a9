"""A text encoder made of the Vision Transformer's blocks.

B captions, L words, D width, C channels of the projection.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.vit import draw_linear
from ccmim.vit.attention import mix
from ccmim.vit.block import Block, LayerNorm


@MODELS.register_module()
class TextTower(nn.Module):
    """Encode captions as one vector each.

    The text tower of FLIP (https://arxiv.org/abs/2212.00794): learned positions,
    pre-norm blocks in which all words see each other, no start token, a projection
    without a bias. The published code lets words attend to the padding behind them;
    here nothing does, so that a caption has one vector whatever it is batched with.

    Args:
        num_words: Rows of the table of words.
        context: Most words of a caption, L.
        embed_dim: Width D.
        depth: Number of blocks.
        num_heads: Attention heads.
        out_dim: Channels C.
        pool: 'first' word (published), or the 'average' of the words.
    """

    def __init__(
        self,
        num_words: Count = 30522,
        context: Count = 32,
        embed_dim: Count = 512,
        depth: Count = 12,
        num_heads: Count = 8,
        out_dim: Count = 512,
        pool: Literal['first', 'average'] = 'first',
    ) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.pool = pool
        self.words = nn.Embedding(num_words, embed_dim)
        self.pos_embed = nn.Parameter(torch.empty(1, context, embed_dim))
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(depth))
        self.norm = LayerNorm(embed_dim)
        self.projection = nn.Linear(embed_dim, out_dim, bias=False)
        self.apply(draw_linear)
        for table in (self.words.weight, self.pos_embed):
            nn.init.normal_(table, std=0.02)

    def forward(self, words: Tensor) -> Tensor:
        """Encode numbers of words (B, L), 0 behind the end: (B, C), of any length."""
        is_word = words > 0
        x = self.words(words) + self.pos_embed[:, : words.shape[1]]
        hidden = torch.zeros_like(is_word, dtype=x.dtype)
        hidden = hidden.masked_fill(~is_word, -torch.inf)[:, None, None]  # (B, 1, 1, L)
        for block in self.blocks:
            q, k, v = block.attn.heads(block.norm1(x))
            mixed = mix(q, k, v, hidden.to(q.dtype))  # (B, H, L, D / H)
            x = x + block.attn.proj(mixed.transpose(1, 2).flatten(2))
            x = x + block.mlp(block.norm2(x))
        x = self.norm(x)
        if self.pool == 'first':
            return self.projection(x[:, 0])
        weights = is_word / is_word.sum(dim=1, keepdim=True).clamp(min=1)
        return self.projection((x * weights.to(x.dtype)[..., None]).sum(dim=1))
