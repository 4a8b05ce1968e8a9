"""One pre-norm transformer block, shared by the encoder and the decoders."""

from functools import partial

from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from ccmim.vit.attention import (
    ALL,
    Attention,
    class_to_patch_attention,
    patch_to_class_attention,
)
from ccmim.vit.windows import attend_in_windows

LayerNorm = partial(nn.LayerNorm, eps=1e-6)
SCORES = {'row': class_to_patch_attention, 'column': patch_to_class_attention}
QUERIES = {'row': slice(1), 'column': slice(1, None)}


class Block(nn.Module):
    """Attention and MLP, each behind a norm and added to its input.

    Args:
        dim: Width D.
        num_heads: Number of attention heads.
        mlp_ratio: Width of the MLP's hidden layer in units of ``dim``.
        qkv_bias: Whether queries, keys and values have a bias.
        drop_path: Probability, in [0, 1), that a sample skips a branch in training.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dim)
        self.attn = Attention(dim, num_heads, qkv_bias)
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, rows: slice = ALL) -> Tensor:
        """Transform tokens with attention among all of them.

        Args:
            x: Tokens of shape (B, N, D).
            rows: The tokens wanted; of the others only keys and values are formed.

        Returns:
            The wanted tokens, of shape (B, n, D).
        """
        return self.finish(x[:, rows], self.attn(self.norm1(x), rows))

    def forward_windows(self, x: Tensor, grid: tuple[int, int], window: int) -> Tensor:
        """Transform patch tokens (B, N, D) of a grid with attention inside windows."""
        return self.finish(x, attend_in_windows(self.attn, self.norm1(x), grid, window))

    def forward_scored(self, x: Tensor, direction: str) -> tuple[Tensor, Tensor]:
        """Transform tokens, the class token first, and score the patches (B, N - 1).

        ``direction`` is 'row' for how much the class token attends to a patch, 'column'
        for how much a patch attends to the class token, averaged over heads.
        """
        q, k, v = self.attn.heads(self.norm1(x))
        scores = SCORES[direction](q[:, :, QUERIES[direction]], k)
        return self.finish(x, self.attn.attend(q, k, v)), scores

    def score(self, x: Tensor, direction: str) -> Tensor:
        """Score the patches (B, N - 1) as ``forward_scored`` does, and no more."""
        q, k = self.attn.queries_keys(self.norm1(x), QUERIES[direction])
        return SCORES[direction](q, k)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Add the attention branch, then the MLP branch: (B, N, D) to (B, N, D)."""
        x = x + self.drop_path(attended)
        return x + self.drop_path(self.mlp(self.norm2(x)))


def draw_linear(module: nn.Module) -> None:
    """Draw a linear layer's weight as Xavier uniform and zero its bias, as MAE does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
