"""ViTDet's decomposed relative positions.

B batch, N tokens, D width, H heads, C channels of a head, R rows, S columns of patches.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.vit.attention import ALL, mix, refuse_scores, split_heads

TABLES = 'rel_pos_h', 'rel_pos_w'


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
