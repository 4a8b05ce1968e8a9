"""One pre-norm transformer block, shared by the encoder and the decoders.

B batch, N tokens, n of them wanted, D width.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import GluMlp, LayerScale, Mlp, get_act_layer
from torch import Tensor, nn

from ccmim.vit.attention import (
    ALL,
    Attention,
    class_to_patch_attention,
    patch_to_class_attention,
)
from ccmim.vit.attentions import OTHERS

LayerNorm = partial(nn.LayerNorm, eps=1e-6)
SCORES = {'row': class_to_patch_attention, 'column': patch_to_class_attention}
Samples = Tensor | slice
ACTS = ('gelu', 'gelu_tanh', 'quick_gelu', 'relu', 'swiglu')


class DropPath(nn.Module):
    """Add a branch to its input, for a random part of the samples only.

    What is kept is scaled up, so that the sum has the expectation that it has without
    dropping (https://arxiv.org/abs/1603.09382).

    Args:
        rate: Probability, in [0, 1), that a sample skips the branch in training.
        subset: Whether the branch is computed for the kept samples only, as in DINOv2:
            ``round(rate * B)`` of a batch of B are dropped, always as many. Where that
            is none, each sample is dropped by itself, after the branch.
    """

    keep: Tensor

    def __init__(self, rate: float = 0.0, subset: bool = False) -> None:
        super().__init__()
        self.rate = rate
        self.drops = rate > 0
        self.subset = subset
        # A tensor and a flag: the compiler would compile anew for each number.
        self.register_buffer('keep', torch.tensor(1.0 - rate), persistent=False)

    def forward(self, x: Tensor, branch: Callable[[Samples], Tensor]) -> Tensor:
        """Add ``branch`` of the kept samples to x.

        Args:
            x: Tokens of shape (B, n, D).
            branch: Takes an index of b samples; gives what to add, (b, n, D).

        Returns:
            The sum, of shape (B, n, D).
        """
        if not (self.drops and self.training):
            return x + branch(slice(None))
        if self.subset and (dropped := self._count(len(x))):
            kept = torch.randperm(len(x), device=x.device)[dropped:]
            scale = len(x) / len(kept)
            return x.index_add(0, kept, branch(kept).to(x.dtype), alpha=scale)
        added = branch(slice(None))
        factors = self.keep.expand(len(x), 1, 1).bernoulli() / self.keep
        return x + added * factors.to(added.dtype)

    def _count(self, batch: int) -> int:
        return min(round(self.rate * batch), batch - 1)


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


def attend_in_windows(
    attention: Callable[[Tensor], Tensor], x: Tensor, grid: tuple[int, int], window: int
) -> Tensor:
    """Apply attention to each window of the grid on its own.

    The grid is padded on the right and bottom with zero tokens to whole windows, which
    take part in the attention, as in ViTDet (https://arxiv.org/abs/2203.16527).

    Args:
        attention: What maps (B, N, D) to (B, N, D).
        x: Patch tokens of shape (B, rows * columns, D).
        grid: Rows and columns of patches.
        window: Side of a window in patches.

    Returns:
        Tokens of shape (B, rows * columns, D).
    """
    batch, _, dim = x.shape
    rows, columns = grid
    pad_rows, pad_columns = -rows % window, -columns % window
    down, across = (rows + pad_rows) // window, (columns + pad_columns) // window

    x = x.reshape(batch, rows, columns, dim)
    x = F.pad(x, (0, 0, 0, pad_columns, 0, pad_rows))
    x = x.reshape(batch, down, window, across, window, dim).transpose(2, 3)
    x = attention(x.reshape(-1, window * window, dim))
    x = x.reshape(batch, down, across, window, window, dim).transpose(2, 3)
    x = x.reshape(batch, rows + pad_rows, columns + pad_columns, dim)
    return x[:, :rows, :columns].reshape(batch, rows * columns, dim)


def make_attention(
    attention: str,
    dim: int,
    num_heads: int,
    qkv_bias: bool,
    grid: tuple[int, int],
    rel_pos_bias: bool,
    rope_theta: float | None = None,
    qk_norm_eps: float | None = None,
) -> nn.Module:
    """Make the attention of one block.

    Args:
        attention: 'softmax' or a name in ``ccmim.vit.attentions.OTHERS``.
        dim: Width of the tokens.
        num_heads: Number of heads.
        qkv_bias: Whether queries, keys and values have a bias.
        grid: Rows and columns of patches for which relative positions are held.
        rel_pos_bias: Whether 'softmax' has a table as BEiT's.
        rope_theta: Of rotary positions, if 'softmax' has them.
        qk_norm_eps: Of its norms of queries and keys, if it has them.
    """
    if attention in OTHERS:
        return OTHERS[attention](dim, num_heads, qkv_bias, grid)
    held = grid if rel_pos_bias else None
    return Attention(dim, num_heads, qkv_bias, held, rope_theta, qk_norm_eps)


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
