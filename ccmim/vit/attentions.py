"""Attention that knows where patches are: ViTDet's, and structure-aware attention.

B batch, N patches, T tokens, D width, H heads, C channels of a head, R rows, S columns
of patches, E embeddings of relative positions a head.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.vit.attention import ALL, mix, refuse_scores, split_heads
from ccmim.vit.rel_pos import matrix_of_offsets, resample_table, table_length

TABLES = 'rel_pos_h', 'rel_pos_w'
EMBEDDINGS = 4
DIRECT = 400  # patches up to which the product with a matrix is faster than FFTs


class RelPosAttention(nn.Module):
    """Self-attention whose logits also depend on how far apart two patches are.

    To the logit of the patches a and b is added ``q_a . rel_pos_h[row(a) - row(b)] +
    q_a . rel_pos_w[column(a) - column(b)]``, with the unscaled query and one pair of
    tables for all heads (https://arxiv.org/abs/2203.16527, after MViTv2,
    https://arxiv.org/abs/2112.01526, section 4.1). Nothing is added for a class token.
    Tables start at zero, where this is plain attention.

    The sum is formed by the product of queries and keys itself: R + S channels more in
    each, the products in the queries and ones at the row and the column in the keys.
    So no bias of N * N values is kept, which at 64 x 64 patches would be 400 MB a block
    and image in half precision for ViT-B. A layer of ViT-S takes 1.4, 1.6 and 2.3 times
    as long as without, forward and backward, at N = 196, 784 and 3136 (float32, one CPU
    core, interleaved); with such a bias 1.3, 1.6 and 2.6 times.

    Args:
        dim: Width D.
        num_heads: Number of heads H; must divide ``dim``.
        qkv_bias: Whether queries, keys and values have a bias.
        grid: Rows and columns of patches that the tables are for.

    Raises:
        ValueError: If ``num_heads`` does not divide ``dim``.
    """

    def __init__(
        self, dim: int, num_heads: int, qkv_bias: bool, grid: tuple[int, int]
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads={num_heads} must divide embed_dim={dim}')
        self.num_heads, self.width = num_heads, dim // num_heads
        self.rel_pos_grid = grid
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        for name, side in zip(TABLES, grid, strict=True):
            table = nn.Parameter(torch.zeros(2 * side - 1, self.width))
            self.register_parameter(name, table)
        self.register_load_state_dict_pre_hook(_resample_loaded)

    def forward(
        self,
        x: Tensor,
        rows: slice = ALL,
        grid: tuple[int, int] | None = None,
        span: tuple[int, int] | None = None,
    ) -> Tensor:
        """Mix tokens: (B, N, D) to the wanted rows (B, n, D), each from all tokens.

        ``grid`` is that of the patches, when not the one that the tables are for. One
        more token than it has patches is a class token in front. ``span`` is for rotary
        positions.
        """
        grid = grid or self.rel_pos_grid
        q, k, v = split_heads(self.qkv(x), self.num_heads, self.width)
        down, across = (
            _pairs(getattr(self, name), side)
            for name, side in zip(TABLES, grid, strict=True)
        )
        patches = q[:, :, -grid[0] * grid[1] :].unflatten(2, grid)  # (B, H, R, S, C)
        positions = torch.cat(
            [
                torch.einsum('bhrsc,rkc->bhrsk', patches, down),
                torch.einsum('bhrsc,skc->bhrsk', patches, across),
            ],
            dim=-1,
        ).flatten(2, 3)  # (B, H, N, R + S)
        q = torch.cat([q * self.width**-0.5, _fill(positions, q)], dim=-1)
        k = torch.cat([k, _fill(_one_hot(grid, k), k).expand(*k.shape[:3], -1)], dim=-1)
        # The kernel that keeps no N * N values wants values as wide as the keys.
        v = F.pad(v, (0, k.shape[3] - self.width))
        mixed = mix(q[:, :, rows], k, v, scale=1.0)[..., : self.width]
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def queries_keys(self, x: Tensor, rows: slice, grid: object = None) -> None:
        """Refuse what masks by attention ask for, see ``refuse_scores``."""
        refuse_scores('rel_pos')


def resample_offsets(table: Tensor, side: int) -> Tensor:
    """Fit a table (2 * old side - 1, C) to another side, linearly as ViTDet does."""
    length = 2 * side - 1
    if len(table) == length:
        return table
    return F.interpolate(table.T.unsqueeze(0), size=length, mode='linear')[0].T


def _pairs(table: Tensor, side: int) -> Tensor:
    # (side, side, C): the entry of query a and key b is that of the offset a - b.
    windows = resample_offsets(table, side).unfold(0, side, 1)  # (side, C, side)
    return windows.flip(2).transpose(1, 2)


def _one_hot(grid: tuple[int, int], like: Tensor) -> Tensor:
    # (1, 1, N, R + S): ones at the row and the column of each patch.
    rows, columns = (torch.eye(side, dtype=like.dtype) for side in grid)
    positions = [rows.repeat_interleave(grid[1], 0), columns.repeat(grid[0], 1)]
    return torch.cat(positions, dim=1).to(like.device)[None, None]


def _fill(positions: Tensor, like: Tensor) -> Tensor:
    # Zeros for a class token, and up to the eight channels that fused kernels ask for.
    missing = like.shape[2] - positions.shape[2]
    width = like.shape[3] + positions.shape[3]
    return F.pad(positions.to(like.dtype), (0, -width % 8, missing, 0))


def _resample_loaded(
    module: RelPosAttention, state: dict[str, Any], prefix: str, *_: Any
) -> None:
    for name, side in zip(TABLES, module.rel_pos_grid, strict=True):
        table = state.get(prefix + name)
        if table is not None and table.shape[1:] == (module.width,):
            state[prefix + name] = resample_offsets(table, side)


class LisaAttention(nn.Module):
    """Attention with a learned weight for each offset between two patches.

    In each head the token b counts for the token a with
    ``w(a, b) = sum over e of r_e(a - b) f(q_a)_e f(k_b)_e``, divided by the sum over
    all b: E products of one query and one key channel, ``f = elu + 1`` keeping them
    positive, each multiplied by its own embedding r_e of the relative position. Sums
    over b are then convolutions over the grid, which two FFTs compute: N log N instead
    of N * N, and no matrix of N * N values (on small grids, where a matrix is faster,
    it is used). All r start at one, where this is linear
    attention (https://arxiv.org/abs/2006.16236).

    The idea is LiSA's, https://arxiv.org/abs/2211.16289: attention kernels times a set
    of relative position embeddings, evaluated by FFT. There is no published code; E,
    ``f`` and the normalization are choices made here, so figures of that paper are not
    to be expected.

    Logarithms of r are held in a table laid out as BEiT's relative positions (three
    more rows for the class token), resampled to other grids alike. The FFT covers the
    whole grid, and weights depend on where a patch is, which ``encode`` is not told of
    a part of the patches: so a part is refused, and methods that show the encoder
    visible patches only (MAE, ccMIM) cannot have it.

    Time of a layer of ViT-S in units of fused softmax attention's, one image in float32
    on one CPU core, medians of interleaved runs:

    ======================  =====  =====  =====  ======
    N                         196    784   3136   12544
    forward                   3.0    3.2    2.2     0.8
    forward and backward      2.4    2.8    1.5     0.6
    ======================  =====  =====  =====  ======

    Args:
        dim: Width D.
        num_heads: Number of heads H; must divide ``dim``.
        qkv_bias: Whether queries, keys and values have a bias.
        grid: Rows and columns of patches that the embeddings are for.

    Raises:
        ValueError: If ``num_heads`` does not divide ``dim``.
    """

    def __init__(
        self, dim: int, num_heads: int, qkv_bias: bool, grid: tuple[int, int]
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads={num_heads} must divide embed_dim={dim}')
        self.num_heads = num_heads
        self.rel_pos_grid = grid
        kernels = num_heads * EMBEDDINGS
        self.qkv = nn.Linear(dim, 2 * kernels + dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros(table_length(grid), kernels)
        )

    def forward(
        self,
        x: Tensor,
        rows: slice = ALL,
        grid: tuple[int, int] | None = None,
        span: tuple[int, int] | None = None,
    ) -> Tensor:
        """Mix tokens: (B, T, D) to the wanted rows (B, n, D), each from all tokens.

        ``grid`` is that of the patches, when not the one that the table is for. One
        more token than it has patches is a class token in front. ``span`` is for rotary
        positions.
        """
        grid = grid or self.rel_pos_grid
        wide = torch.promote_types(x.dtype, torch.float32)  # FFTs know no bf16
        dim = self.proj.in_features
        both, v = self.qkv(x).split([2 * self.num_heads * EMBEDDINGS, dim], dim=-1)
        q, k = split_heads((F.elu(both.to(wide)) + 1), self.num_heads, EMBEDDINGS)
        (v,) = split_heads(v.to(wide), self.num_heads, dim // self.num_heads)
        table = self.relative_position_bias_table.to(wide)
        table = resample_table(table, self.rel_pos_grid, grid).exp()
        with torch.autocast(x.device.type, enabled=False):
            mixed = structured_attention(q, k, v, table, grid)
        return self.proj(mixed[:, :, rows].transpose(1, 2).flatten(2).to(x.dtype))

    def queries_keys(self, x: Tensor, rows: slice, grid: object = None) -> None:
        """Refuse what masks by attention ask for, see ``refuse_scores``."""
        refuse_scores('lisa')


def structured_attention(
    q: Tensor, k: Tensor, v: Tensor, weights: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Mix values by products of queries and keys, weighted by relative position.

    Args:
        q: Positive queries of shape (B, H, T, E), a class token first if there is one.
        k: Positive keys, likewise.
        v: Values of shape (B, H, T, C).
        weights: Positive factors of shape (``table_length(grid)``, H * E).
        grid: Rows and columns of the patches.

    Returns:
        Mixed values of shape (B, H, T, C): averages of ``v`` with positive weights.
    """
    count, heads = grid[0] * grid[1], q.shape[1]
    v = F.pad(v, (0, 1), value=1.0).transpose(2, 3)  # what ones become is the divisor
    keyed = k.transpose(2, 3).unsqueeze(3) * v.unsqueeze(2)  # (B, H, E, C + 1, T)
    weights = weights.T.reshape(heads, -1, 1, len(weights))  # (H, E, 1, offsets)
    mixed = weigh_by_offset(keyed[..., -count:], weights[..., :-3], grid)
    if keyed.shape[-1] > count:
        first, patches = keyed[..., :1], keyed[..., 1:]
        from_class, to_class, itself = weights[..., -3:].split(1, dim=-1)
        top = itself * first + from_class * patches.sum(dim=-1, keepdim=True)
        mixed = torch.cat([top, mixed + to_class * first], dim=-1)
    mixed = (q.transpose(2, 3).unsqueeze(3) * mixed).sum(dim=2)  # (B, H, C + 1, T)
    return (mixed[:, :, :-1] / mixed[:, :, -1:]).transpose(2, 3)


def weigh_by_offset(x: Tensor, weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """Sum over all patches, each times the weight of its offset.

    By FFT, where that is faster than the product with a matrix.

    Args:
        x: Of shape (..., X, N).
        weights: For each offset, of shape (..., 1, (2 rows - 1) * (2 columns - 1)).
        grid: Rows and columns of the patches, N of them.

    Returns:
        Of shape (..., X, N): at a the sum over b of ``weights[a - b] * x[b]``.
    """
    rows, columns = grid
    kernel = weights.unflatten(-1, (2 * rows - 1, 2 * columns - 1))
    if rows * columns <= DIRECT:
        return x @ matrix_of_offsets(kernel, grid).squeeze(-3).mT
    size = tuple(map(_fft_length, grid))
    right, below = size[1] - kernel.shape[-1], size[0] - kernel.shape[-2]
    kernel = F.pad(kernel, (0, right, 0, below))
    kernel = kernel.roll((1 - rows, 1 - columns), (-2, -1))  # offset zero comes first
    spectrum = torch.fft.rfft2(x.unflatten(-1, grid), s=size)
    summed = torch.fft.irfft2(spectrum * torch.fft.rfft2(kernel), s=size)
    return summed[..., :rows, :columns].flatten(-2)


@torch.compiler.disable  # the compiler reads neither SciPy nor a cache
@lru_cache
def _fft_length(side: int) -> int:
    from scipy.fft import next_fast_len  # slow to import, rarely needed

    # No shorter than all offsets, so that far ones do not wrap around.
    return next_fast_len(2 * side - 1, real=True)


OTHERS = {'rel_pos': RelPosAttention, 'lisa': LisaAttention}
