"""Self-attention with PyTorch's fused kernel, and the class token's row on request.

B batch, N tokens (class token included), D width, H heads, C channels of a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.vit.rel_pos import relative_bias, rotary_angles, rotate, table_length

ALL = slice(None)


class Attention(nn.Module):
    """Multi-head self-attention with timm's parameter names (``qkv``, ``proj``).

    Args:
        dim: Width D.
        num_heads: Number of heads H; must divide ``dim``.
        qkv_bias: Whether queries, keys and values have a bias.
        rel_pos_grid: Rows and columns of patches for which a table of relative
            positions is held; none without.
        rope_theta: Of rotary positions, see ``rotary_angles``; none without.
        qk_norm_eps: What norms of queries and keys, one for all heads, add to the
            variance; no such norms when None.

    Raises:
        ValueError: If ``num_heads`` does not divide ``dim``, or the heads are of a
            width that cannot be rotated.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool = True,
        rel_pos_grid: tuple[int, int] | None = None,
        rope_theta: float | None = None,
        qk_norm_eps: float | None = None,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads={num_heads} must divide embed_dim={dim}')
        width = dim // num_heads
        if rope_theta is not None and width % 4:
            raise ValueError(
                f'heads of {width} channels: rotary positions need a multiple of 4, '
                'set num_heads'
            )
        self.num_heads, self.rope_theta = num_heads, rope_theta
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.q_norm, self.k_norm = (
            nn.Identity() if qk_norm_eps is None else nn.LayerNorm(width, qk_norm_eps)
            for _ in range(2)
        )
        self.rel_pos_grid = rel_pos_grid
        if rel_pos_grid:
            self.relative_position_bias_table = nn.Parameter(
                torch.zeros(table_length(rel_pos_grid), num_heads)
            )

    def forward(
        self,
        x: Tensor,
        rows: slice = ALL,
        grid: tuple[int, int] | None = None,
        span: tuple[int, int] | None = None,
        seen: Tensor | None = None,
    ) -> Tensor:
        """Mix tokens: (B, N, D) to the wanted rows (B, n, D), each from all tokens.

        ``grid`` is that of the patches, for relative and rotary positions; ``span``
        that of the whole image where they are a window of it. ``seen``, True or False
        of shape (B, m, N), says from which tokens the first m are mixed.
        """
        if seen is not None:
            return self._attend_seen(*self.heads(x, grid, span), seen)
        if rows == ALL:
            q, k, v = self.heads(x, grid, span)
        else:
            q, k = self.queries_keys(x, rows, grid)
            (v,) = self._project(x, 2, 3)
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

    def heads(
        self,
        x: Tensor,
        grid: tuple[int, int] | None = None,
        span: tuple[int, int] | None = None,
    ) -> tuple[Tensor, ...]:
        """Project tokens (B, N, D) to queries, keys and values, each (B, H, N, C)."""
        q, k, v = self._split(self.qkv(x))
        q, k = self.q_norm(q), self.k_norm(k)
        if self.rope_theta is not None:
            angles = self._angles(x, grid, span)
            q, k = rotate(q, angles), rotate(k, angles)
        return q, k, v

    def queries_keys(
        self, x: Tensor, rows: slice, grid: tuple[int, int] | None = None
    ) -> tuple[Tensor, ...]:
        """Project (B, N, D) to queries of the rows, (B, H, n, C), and keys of all."""
        (k,) = self._project(x, 1, 2)
        if self.rope_theta is not None:  # the row gives its position among all
            (q,), angles = self._project(x, 0, 1), self._angles(x, grid)
            q, k = rotate(self.q_norm(q), angles), rotate(self.k_norm(k), angles)
            return q[:, :, rows], k
        (q,) = self._project(x[:, rows], 0, 1)
        return self.q_norm(q), self.k_norm(k)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        """Attend, join the heads and project: queries (B, H, n, C) to (B, n, D)."""
        if bias is not None:
            bias = bias.to(q.dtype).unsqueeze(0)  # what fused kernels take
        return self.proj(mix(q, k, v, bias).transpose(1, 2).flatten(2))

    def _attend_seen(self, q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
        # Two passes, so that the many tokens without a mask have the kernel without.
        first = seen.shape[1]
        bias = torch.zeros(seen.shape, dtype=q.dtype, device=q.device)
        bias = bias.masked_fill_(~seen, -torch.inf).unsqueeze(1)
        few = mix(q[:, :, :first], k, v, bias)
        mixed = torch.cat([few, mix(q[:, :, first:], k, v)], dim=2)
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def _project(self, x: Tensor, first: int, stop: int) -> tuple[Tensor, ...]:
        # Some of queries (0), keys (1) and values (2) without the rest.
        if not isinstance(self.qkv, nn.Linear):  # with an adapter, of which all are
            return self._split(self.qkv(x))[first:stop]
        rows = slice(first * self.proj.in_features, stop * self.proj.in_features)
        bias = None if self.qkv.bias is None else self.qkv.bias[rows]
        return self._split(F.linear(x, self.qkv.weight[rows], bias))

    def _angles(
        self,
        x: Tensor,
        grid: tuple[int, int] | None,
        span: tuple[int, int] | None = None,
    ) -> Tensor:
        if grid is None:
            raise ValueError('rotary positions need the grid of the patches')
        width = self.proj.in_features // self.num_heads
        return rotary_angles(grid, width, self.rope_theta, span, x.device)

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


def refuse_scores(attention: str, class_token: bool = True) -> None:
    """Refuse to score patches by an attention that is not the plain one.

    Raises:
        ValueError: Unless it is.
    """
    if attention != 'softmax':
        raise ValueError(
            f'attention={attention!r} gives no scores of patches: mask at random '
            "(ConstantScorer, RandomSampler) or set attention='softmax'"
        )
    if not class_token:
        raise ValueError(
            'class_token=False: there is no class token whose attention scores the '
            'patches: mask at random (ConstantScorer, RandomSampler)'
        )


def class_to_patch_attention(
    q: Tensor, k: Tensor, bias: Tensor | None = None, prefix: int = 1
) -> Tensor:
    """Compute how much the class token attends to each patch, averaged over heads.

    The fused kernel never forms the attention matrix; this one row of it costs N*D
    operations instead of N*N*D.

    Args:
        q: Query of the class token, of shape (B, H, 1, C).
        k: Keys of shape (B, H, N, C), the class token first.
        bias: Of relative positions, of shape (H, 1, N).
        prefix: Tokens before the patches: the class token and registers.

    Returns:
        Probabilities of shape (B, N - prefix), at least float32; each row sums to one
        minus the class token's attention to itself and to registers.
    """
    return _softmax(_logits(q, k, bias)).mean(dim=1)[:, 0, prefix:]


def patch_to_class_attention(
    q: Tensor, k: Tensor, bias: Tensor | None = None, prefix: int = 1
) -> Tensor:
    """Compute how much each patch attends to the class token, averaged over heads.

    Unlike the row, the column needs the normalizer of every row, hence the whole
    matrix: slower, and there only because an early version of the published code
    scored patches so.

    Args:
        q: Queries of the patches, of shape (B, H, N - 1, C).
        k: Keys of shape (B, H, N, C), the class token first.
        bias: Of relative positions, of shape (H, N - 1, N).
        prefix: Not needed here: the queries are those of the patches.

    Returns:
        Probabilities of shape (B, N - 1), at least float32, each in [0, 1].
    """
    return _softmax(_logits(q, k, bias)).mean(dim=1)[:, :, 0]


def _logits(
    q: Tensor, k: Tensor, bias: Tensor | None, scale: float | None = None
) -> Tensor:
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    logits = (q * scale) @ k.mT
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
