"""Self-attention on PyTorch's fused kernel, with the class token's row beside it.

B batch, N tokens (class token included), D width, H heads, C channels of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.vit.rel_pos import relative_bias, table_length

ALL = slice(None)


class Attention(nn.Module):
    """Multi-head self-attention with timm's parameter names (``qkv``, ``proj``).

    Args:
        dim: Width D.
        num_heads: Number of heads H; must divide ``dim``.
        qkv_bias: Whether queries, keys and values have a bias.
        rel_pos_grid: Rows and columns of patches for which a table of relative
            positions is held; none without.

    Raises:
        ValueError: If ``num_heads`` does not divide ``dim``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool = True,
        rel_pos_grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads={num_heads} must divide embed_dim={dim}')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_grid = rel_pos_grid
        if rel_pos_grid:
            self.relative_position_bias_table = nn.Parameter(
                torch.zeros(table_length(rel_pos_grid), num_heads)
            )

    def forward(
        self, x: Tensor, rows: slice = ALL, grid: tuple[int, int] | None = None
    ) -> Tensor:
        """Mix tokens: (B, N, D) to the wanted rows (B, n, D), each from all tokens.

        ``grid`` is that of the patches, for relative positions.
        """
        if rows == ALL:
            q, k, v = self.heads(x)
        else:
            (q,), (k, v) = self._project(x[:, rows], 0, 1), self._project(x, 1, 3)
        return self.attend(q, k, v, self.bias(x.shape[1], grid, rows))

    def bias(
        self, length: int, grid: tuple[int, int] | None, rows: slice = ALL
    ) -> Tensor | None:
        """Look up the bias (H, n, N) of relative positions, None if there is none.

        One more token than the grid has patches is a class token in front.
        """
        if self.rel_pos_grid is None or grid is None:
            return None
        table = self.relative_position_bias_table
        with_class = length > grid[0] * grid[1]
        return relative_bias(table, self.rel_pos_grid, grid, with_class)[:, rows]

    def heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Project tokens (B, N, D) to queries, keys and values, each (B, H, N, C)."""
        return self._split(self.qkv(x))

    def queries_keys(self, x: Tensor, rows: slice) -> tuple[Tensor, ...]:
        """Project (B, N, D) to queries of the rows, (B, H, n, C), and keys of all."""
        return *self._project(x[:, rows], 0, 1), *self._project(x, 1, 2)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        """Attend, join the heads and project: queries (B, H, n, C) to (B, n, D)."""
        if bias is not None:
            bias = bias.to(q.dtype).unsqueeze(0)  # what fused kernels take
        return self.proj(mix(q, k, v, bias).transpose(1, 2).flatten(2))

    def _project(self, x: Tensor, first: int, stop: int) -> tuple[Tensor, ...]:
        # Some of queries (0), keys (1) and values (2) without the rest.
        rows = slice(first * self.proj.in_features, stop * self.proj.in_features)
        bias = None if self.qkv.bias is None else self.qkv.bias[rows]
        return self._split(F.linear(x, self.qkv.weight[rows], bias))

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        return split_heads(x, self.num_heads, self.proj.in_features // self.num_heads)


def split_heads(x: Tensor, num_heads: int, width: int) -> tuple[Tensor, ...]:
    """Take apart (B, N, k * H * C) into k tensors of shape (B, H, N, C)."""
    return x.unflatten(-1, (-1, num_heads, width)).permute(2, 0, 3, 1, 4).unbind()


def mix(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Attend on the faster of PyTorch's fused kernel and two matrix products.

    Args:
        q: Queries of shape (B, H, n, C).
        k: Keys of shape (B, H, N, C).
        v: Values of shape (B, H, N, any number).
        bias: Added to the logits, of a shape that broadcasts to (B, H, n, N).
        scale: Factor of the products of queries and keys; one over the root of C when
            None.

    Returns:
        Mixed values of shape (B, H, n, that number).
    """
    if _plain_is_faster(q):
        return _logits(q, k, bias, scale).softmax(dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v, bias, scale=scale)


def refuse_scores(attention: str) -> None:
    """Refuse to score patches by an attention that is not the plain one.

    Raises:
        ValueError: Unless it is.
    """
    if attention != 'softmax':
        raise ValueError(
            f'attention={attention!r} gives no scores of patches: mask at random '
            "(ConstantScorer, RandomSampler) or set attention='softmax'"
        )


def class_to_patch_attention(
    q: Tensor, k: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Compute how much the class token attends to each patch, averaged over heads.

    The fused kernel never forms the attention matrix; this one row of it costs N*D
    operations instead of N*N*D.

    Args:
        q: Query of the class token, of shape (B, H, 1, C).
        k: Keys of shape (B, H, N, C), the class token first.
        bias: Of relative positions, of shape (H, 1, N).

    Returns:
        Probabilities of shape (B, N - 1), at least float32; each row sums to one minus
        the class token's attention to itself.
    """
    return _softmax(_logits(q, k, bias)).mean(dim=1)[:, 0, 1:]


def patch_to_class_attention(
    q: Tensor, k: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Compute how much each patch attends to the class token, averaged over heads.

    Unlike the row, the column needs the normaliser of every row, hence the whole
    matrix: slower, and there only because an early version of the published code
    scored patches so.

    Args:
        q: Queries of the patches, of shape (B, H, N - 1, C).
        k: Keys of shape (B, H, N, C), the class token first.
        bias: Of relative positions, of shape (H, N - 1, N).

    Returns:
        Probabilities of shape (B, N - 1), at least float32, each in [0, 1].
    """
    return _softmax(_logits(q, k, bias)).mean(dim=1)[:, :, 0]


def _logits(
    q: Tensor, k: Tensor, bias: Tensor | None, scale: float | None = None
) -> Tensor:
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    logits = (q * scale) @ k.transpose(-2, -1)
    return logits if bias is None else logits + bias


def _plain_is_faster(q: Tensor) -> bool:
    # On a CPU, the backward pass of the fused kernel in half precision takes two to six
    # times as long as that of two matrix products at 17 to 577 tokens, and no less
    # at 1024.
    half = q.dtype in (torch.bfloat16, torch.float16)
    return q.device.type == 'cpu' and half and q.requires_grad


def _softmax(logits: Tensor) -> Tensor:
    # Scores order patches, so they are formed in float32 even where the pass is bf16.
    wide = torch.promote_types(logits.dtype, torch.float32)
    return logits.softmax(dim=-1, dtype=wide)
