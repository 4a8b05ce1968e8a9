"""One pre-norm transformer block, shared by the encoder and the decoders."""

from collections.abc import Callable
from functools import partial
from typing import Any

from timm.layers import GluMlp, LayerScale, Mlp, get_act_layer
from torch import Tensor, nn

from ccmim.vit.attention import (
    ALL,
    Attention,
    attend_in_windows,
    class_to_patch_attention,
    patch_to_class_attention,
)
from ccmim.vit.layers import DropPath, Samples

LayerNorm = partial(nn.LayerNorm, eps=1e-6)
SCORES = {'row': class_to_patch_attention, 'column': patch_to_class_attention}
ACTS = ('gelu', 'gelu_tanh', 'quick_gelu', 'relu', 'swiglu')


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
        act: Between the layers of the MLP, a name in ``ACTS``; 'swiglu' has a gate,
            https://arxiv.org/abs/2002.05202.
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
        act: str = 'gelu',
    ) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dim, eps=norm_eps)
        self.attn: Any = attention or Attention(dim, num_heads, qkv_bias)
        self.ls1 = _layer_scale(dim, layer_scale_init)
        self.drop_path = DropPath(drop_path, drop_path_subset)
        self.norm2 = LayerNorm(dim, eps=norm_eps)
        self.mlp = make_mlp(dim, int(dim * mlp_ratio), act)
        self.ls2 = _layer_scale(dim, layer_scale_init)

    def forward(
        self,
        x: Tensor,
        rows: slice = ALL,
        grid: tuple[int, int] | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """Transform tokens with attention among all of them.

        Args:
            x: Tokens of shape (B, N, D).
            rows: The tokens wanted; of the others only keys and values are formed.
            grid: Rows and columns of the patches, for relative positions.
            seen: Which tokens each of the first m attends to, (B, m, N); all when None.

        Returns:
            The wanted tokens, of shape (B, n, D).
        """

        def attend(i: Samples) -> Tensor:
            if seen is None:
                return self.attn(self.norm1(x[i]), rows, grid)
            return self.attn(self.norm1(x[i]), rows, grid, seen=seen[i])

        return self._add_branches(x[:, rows], attend)

    def forward_windows(self, x: Tensor, grid: tuple[int, int], window: int) -> Tensor:
        """Transform patch tokens (B, N, D) of a grid with attention inside windows."""
        attention = partial(self.attn, grid=(window, window), span=grid)

        def attend(i: Samples) -> Tensor:
            return attend_in_windows(attention, self.norm1(x[i]), grid, window)

        return self._add_branches(x, attend)

    def forward_scored(
        self,
        x: Tensor,
        direction: str,
        grid: tuple[int, int] | None = None,
        prefix: int = 1,
    ) -> tuple[Tensor, Tensor]:
        """Transform tokens, the class token first, and score the N patches (B, N).

        ``direction`` is 'row' for how much the class token attends to a patch, 'column'
        for how much a patch attends to the class token, averaged over heads; ``prefix``
        counts the tokens before the patches. No sample skips a branch: scores are of
        the whole network, as those of AttMask's teacher.
        """
        q, k, v = self.attn.heads(self.norm1(x), grid)
        rows, bias = _rows(direction, prefix), self.attn.bias(x.shape[1], grid)
        row_bias = None if bias is None else bias[:, rows]
        scores = SCORES[direction](q[:, :, rows], k, row_bias, prefix)
        x = x + self.ls1(self.attn.attend(q, k, v, bias))
        return x + self.ls2(self.mlp(self.norm2(x))), scores

    def score(
        self,
        x: Tensor,
        direction: str,
        grid: tuple[int, int] | None = None,
        prefix: int = 1,
    ) -> Tensor:
        """Score the patches (B, N) as ``forward_scored`` does, and no more."""
        rows = _rows(direction, prefix)
        q, k = self.attn.queries_keys(self.norm1(x), rows, grid)
        bias = self.attn.bias(x.shape[1], grid, rows)
        return SCORES[direction](q, k, bias, prefix)

    def _add_branches(self, x: Tensor, attend: Callable[[Samples], Tensor]) -> Tensor:
        # The attention branch, then the MLP branch: (B, n, D) to (B, n, D).
        x = self.drop_path(x, lambda i: self.ls1(attend(i)))
        return self.drop_path(x, lambda i: self.ls2(self.mlp(self.norm2(x[i]))))


def make_mlp(dim: int, hidden: int, act: str) -> nn.Module:
    """Make the MLP of a block; with 'swiglu', ``fc1`` holds the gate, then the rest.

    Raises:
        ValueError: If there is no such activation.
    """
    if act not in ACTS:
        raise ValueError(f'act={act!r} must be one of {ACTS}')
    if act == 'swiglu':
        return GluMlp(dim, 2 * hidden, act_layer=nn.SiLU, gate_last=False)
    return Mlp(dim, hidden, act_layer=get_act_layer(act))


def _rows(direction: str, prefix: int) -> slice:
    return slice(1) if direction == 'row' else slice(prefix, None)


def _layer_scale(dim: int, init: float | None) -> nn.Module:
    return nn.Identity() if init is None else LayerScale(dim, init)


def draw_linear(module: nn.Module) -> None:
    """Draw a linear layer's weight as Xavier uniform and zero its bias, as MAE does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
