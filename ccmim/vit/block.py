"""One pre-norm transformer block, shared by the encoder and the decoders."""

from collections.abc import Callable
from functools import partial
from typing import Any

from timm.layers import LayerScale, Mlp
from torch import Tensor, nn

from ccmim.vit.attention import (
    ALL,
    Attention,
    class_to_patch_attention,
    patch_to_class_attention,
)
from ccmim.vit.drop_path import DropPath, Samples
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
        layer_scale_init: First value of the factors, one a channel, that scale each
            branch; no such factors when None.
        norm_eps: What the norms add to the variance.
        attention: What mixes the tokens; an ``Attention`` without relative positions
            when None.
        drop_path_subset: Whether samples that skip a branch are not computed.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
        layer_scale_init: float | None = None,
        norm_eps: float = 1e-6,
        attention: nn.Module | None = None,
        drop_path_subset: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dim, eps=norm_eps)
        self.attn: Any = attention or Attention(dim, num_heads, qkv_bias)
        self.ls1 = _layer_scale(dim, layer_scale_init)
        self.drop_path = DropPath(drop_path, drop_path_subset)
        self.norm2 = LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.ls2 = _layer_scale(dim, layer_scale_init)

    def forward(
        self, x: Tensor, rows: slice = ALL, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """Transform tokens with attention among all of them.

        Args:
            x: Tokens of shape (B, N, D).
            rows: The tokens wanted; of the others only keys and values are formed.
            grid: Rows and columns of the patches, for relative positions.

        Returns:
            The wanted tokens, of shape (B, n, D).
        """

        def attend(i: Samples) -> Tensor:
            return self.attn(self.norm1(x[i]), rows, grid)

        return self._add_branches(x[:, rows], attend)

    def forward_windows(self, x: Tensor, grid: tuple[int, int], window: int) -> Tensor:
        """Transform patch tokens (B, N, D) of a grid with attention inside windows."""
        attention = partial(self.attn, grid=(window, window))

        def attend(i: Samples) -> Tensor:
            return attend_in_windows(attention, self.norm1(x[i]), grid, window)

        return self._add_branches(x, attend)

    def forward_scored(
        self, x: Tensor, direction: str, grid: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Transform tokens, the class token first, and score the patches (B, N - 1).

        ``direction`` is 'row' for how much the class token attends to a patch, 'column'
        for how much a patch attends to the class token, averaged over heads. No sample
        skips a branch: scores are of the whole network, as those of AttMask's teacher.
        """
        q, k, v = self.attn.heads(self.norm1(x))
        rows, bias = QUERIES[direction], self.attn.bias(x.shape[1], grid)
        row_bias = None if bias is None else bias[:, rows]
        scores = SCORES[direction](q[:, :, rows], k, row_bias)
        x = x + self.ls1(self.attn.attend(q, k, v, bias))
        return x + self.ls2(self.mlp(self.norm2(x))), scores

    def score(
        self, x: Tensor, direction: str, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """Score the patches (B, N - 1) as ``forward_scored`` does, and no more."""
        rows = QUERIES[direction]
        q, k = self.attn.queries_keys(self.norm1(x), rows)
        return SCORES[direction](q, k, self.attn.bias(x.shape[1], grid, rows))

    def _add_branches(self, x: Tensor, attend: Callable[[Samples], Tensor]) -> Tensor:
        # The attention branch, then the MLP branch: (B, n, D) to (B, n, D).
        x = self.drop_path(x, lambda i: self.ls1(attend(i)))
        return self.drop_path(x, lambda i: self.ls2(self.mlp(self.norm2(x[i]))))


def _layer_scale(dim: int, init: float | None) -> nn.Module:
    return nn.Identity() if init is None else LayerScale(dim, init)


def draw_linear(module: nn.Module) -> None:
    """Draw a linear layer's weight as Xavier uniform and zero its bias, as MAE does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
