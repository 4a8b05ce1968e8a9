"""From images to tokens: patches, their positions, and the tokens before them.

B batch, H W image, P patch side, N patches, n of them wanted, D width.
"""

import logging
import math
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from timm.layers import PatchEmbed, resample_abs_pos_embed
from torch import Tensor, nn

# Bicubic all: timm's and ours, Hugging Face's, and that of DINOv2's first files.
RESAMPLINGS = ('antialiased', 'bicubic', 'dinov2')


class TokenEmbedding:
    """How a backbone of ours turns images into the tokens that its blocks take."""

    def add_embedding(self, in_chans: int) -> None:
        """Add what turns patches of so many channels into tokens, still to be drawn."""
        self.patch_embed = PatchEmbed(
            None, self.patch_size, in_chans, self.embed_dim, dynamic_img_pad=True
        )
        if self.class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dim))
        if self.reg_tokens:
            self.reg_token = nn.Parameter(
                torch.zeros(1, self.reg_tokens, self.embed_dim)
            )
        table = sincos_pos_embed(self.embed_dim, self.grid)
        if self.pos_kind in ('none', 'rotary'):
            self.register_buffer('pos_embed', torch.zeros_like(table), persistent=False)
        else:
            learned = self.pos_kind == 'learned'
            self.pos_embed = nn.Parameter(table, requires_grad=learned)

    def embed(self, images: Tensor, ids: Tensor | None = None) -> Tensor:
        """Turn patches into tokens with their positions, without a class token.

        Args:
            images: Normalized images of shape (B, 3, H, W); sides that are no multiple
                of P are padded with zeros on the right and bottom.
            ids: The patches wanted, of shape (B, n), in [0, N); all when None. The
                others are not looked at.

        Returns:
            Tokens of shape (B, n, D), in the order of ``ids``, else row by row.
        """
        positions = self.positions(self.grid_of(images))
        if ids is not None:
            positions = positions[ids]
        patches = cut_patches(images, self.patch_size, ids)
        proj = self.patch_embed.proj
        return F.linear(patches, proj.weight.flatten(1), proj.bias) + positions

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Return the position embeddings of a grid, (N, D), row by row."""
        return resample_pos_embed(self.pos_embed, self.grid, grid, self.pos_resample)[
            0, 1:
        ]

    @property
    def num_prefix(self) -> int:
        """Number of tokens before the patches: a class token and registers."""
        return int(self.class_token) + self.reg_tokens

    def prefix_tokens(self) -> list[Tensor]:
        """List the parameters that are tokens: class token and registers."""
        tokens = [self.cls_token] if self.class_token else []
        return [*tokens, self.reg_token] if self.reg_tokens else tokens

    def start(self, tokens: Tensor) -> Tensor:
        """Put class token and registers before patches (B, n, D), as blocks want."""
        first = self.prefix_tokens()
        if self.class_token:
            first[0] = first[0] + self.pos_embed[:, :1]
        first = [t.to(tokens.dtype).expand(tokens.shape[0], -1, -1) for t in first]
        return self.norm_pre(torch.cat([*first, tokens], dim=1))

    def grid_of(self, images: Tensor) -> tuple[int, int]:
        """Return the rows and columns of patches of images (B, 3, H, W)."""
        height, width = images.shape[-2:]
        return -(-height // self.patch_size), -(-width // self.patch_size)


def cut_patches(images: Tensor, side: int, ids: Tensor | None = None) -> Tensor:
    """Cut images into flat patches in the order of a convolution's weights.

    A convolution over disjoint patches is the product of these with its weights: the
    same sum, and patches that are not wanted cost nothing in either direction.

    Args:
        images: Images of shape (B, C, H, W); padded with zeros on the right and bottom
            to whole patches.
        side: Side P of a patch in pixels.
        ids: Patches wanted, of shape (B, n), in [0, N); all, row by row, when None.

    Returns:
        Patches of shape (B, n, C * P * P).
    """
    height, width = images.shape[-2:]
    if height % side or width % side:
        images = F.pad(images, (0, -width % side, 0, -height % side))
    grid = images.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    patches = grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    if ids is None:
        return patches
    return take(patches, ids)


def take(tokens: Tensor, ids: Tensor) -> Tensor:
    """Gather tokens (B, N, D) by their ids (B, n) into (B, n, D)."""
    batch, count, width = tokens.shape
    first = torch.arange(0, batch * count, count, device=ids.device)
    rows = (ids + first[:, None]).flatten()
    # Copies whole rows, where `gather` takes one number after the other.
    return tokens.reshape(-1, width).index_select(0, rows).view(*ids.shape, width)


def sincos_pos_embed(dim: int, grid: tuple[int, int]) -> Tensor:
    """Compute the fixed 2-D sin-cos table of MAE with a zero row for the class token.

    The first half of the channels encodes the column, the second half the row; within a
    half, sines come before cosines, with wavelengths from 2 pi to 10000 * 2 pi patches
    (https://arxiv.org/abs/2111.06377, appendix A.1, laid out as in the published code).

    Args:
        dim: Width of the table; a multiple of 4.
        grid: Rows and columns of patches.

    Returns:
        Table of shape (1, 1 + rows * columns, dim) in [-1, 1].

    Raises:
        ValueError: If ``dim`` is not a multiple of 4.
    """
    if dim % 4:
        raise ValueError(f'embed_dim={dim} must be a multiple of 4 for positions')
    rows, columns = grid
    omega = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim // 4))
    y, x = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64),
        torch.arange(columns, dtype=torch.float64),
        indexing='ij',
    )
    angles = [axis.reshape(-1, 1) * omega for axis in (x, y)]  # 2 x (N, D/4)
    table = torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], dim=1)
    return torch.cat([table.new_zeros(1, dim), table]).unsqueeze(0).float()


def fixed_grid(table: Tensor) -> tuple[int, int] | None:
    """Return the grid whose fixed table this is, rounding apart; None if of no grid.

    Args:
        table: Positions of shape (1, 1 + N, D).
    """
    if table.ndim != 3 or table.shape[2] % 4 or not table.is_floating_point():
        return None
    patches, dim = table.shape[1] - 1, table.shape[2]
    tolerance = max(1e-5, torch.finfo(table.dtype).eps)
    grids = [(r, patches // r) for r in range(1, patches + 1) if patches % r == 0]
    for grid in grids:
        fixed = sincos_pos_embed(dim, grid).to(table.device)
        if torch.allclose(fixed, table.float(), atol=tolerance):
            return grid
    return None


def square_grid(table: Tensor) -> tuple[int, int] | None:
    """Return the square grid of a table (1, 1 + N, D); None if N is no square."""
    patches = table.shape[1] - 1
    side = math.isqrt(abs(patches))
    return (side, side) if side * side == patches > 0 else None


def resample_pos_embed(
    table: Tensor,
    old: tuple[int, int],
    new: tuple[int, int],
    how: str = 'antialiased',
) -> Tensor:
    """Resample a table of positions to another grid.

    The class token's row is kept as it is. Fixed tables are resampled like learned
    ones, so that a pretrained network meets the positions it knows.

    Args:
        table: Positions of shape (1, 1 + old rows * old columns, D).
        old: Grid of ``table``.
        new: Wanted grid.
        how: Name in ``RESAMPLINGS``.

    Returns:
        Positions of shape (1, 1 + new rows * new columns, D); ``table`` itself when
        the grids agree.
    """
    if old == new:
        return table
    if how == 'antialiased':
        return resample_abs_pos_embed(
            table, new_size=list(new), old_size=list(old), num_prefix_tokens=1
        )
    grid = table[:, 1:].float().unflatten(1, old).movedim(3, 1)
    if how == 'dinov2':  # which divides by these factors, not by the sizes they give
        factors = [(a + 0.1) / b for a, b in zip(new, old, strict=True)]
        grid = F.interpolate(grid, scale_factor=factors, mode='bicubic')
    else:
        grid = F.interpolate(grid, size=new, mode='bicubic')
    patches = grid.movedim(1, 3).flatten(1, 2).to(table.dtype)
    return torch.cat([table[:, :1], patches], dim=1)


def note_grid(
    module: Any, state: dict[str, Any], prefix: str, metadata: dict[str, Any]
) -> None:
    """Note a module's grid beside its weights, and all else that they do not say.

    As many patches fill several grids, and a width does not say the number of heads.
    A hook for ``register_state_dict_post_hook``.
    """
    metadata['grid'] = tuple(module.grid)
    metadata['architecture'] = module.unseen()


def resample_loaded_positions(
    module: Any, state: dict[str, Any], prefix: str, metadata: dict[str, Any], *_: Any
) -> None:
    """Fit a checkpoint's positions to a module's grid on loading.

    Fixed positions imply their grid, and files of ours that of learned ones. Others are
    taken for those of the module's grid if they are as many, else of a square one. A
    hook for ``register_load_state_dict_pre_hook``.

    Args:
        module: Network with ``pos_embed`` and its ``grid``.
        state: What is being loaded; its positions are replaced.
        prefix: Of the module's names in ``state``.
        metadata: What ``note_grid`` noted, if anything.

    Raises:
        ValueError: If learned positions have another number than the
            module's, which is no square.
    """
    table, own = state.get(prefix + 'pos_embed'), module.pos_embed
    if table is None or table.ndim != 3 or table.shape[-1] != own.shape[-1]:
        return
    if table.is_meta:  # has no values: only operations are counted
        return
    held = fixed_grid(table) or _noted(metadata, table)
    if held is None:
        same = module.grid if table.shape == own.shape else None
        square = square_grid(table)
        held = same or square
        if same and square and same != square:
            print_log(
                f'pos_embed of the checkpoint holds {table.shape[1] - 1} patches, and '
                f'no word of their grid: taken for the {same[0]} x {same[1]} of '
                f'img_size, not for {square[0]} x {square[1]}',
                logger='current',
                level=logging.WARNING,
            )
    if held is None:
        raise ValueError(
            f'pos_embed of the checkpoint holds {table.shape[1] - 1} patches, which is '
            'no square: set img_size to the size it was trained with'
        )
    state[prefix + 'pos_embed'] = resample_pos_embed(
        table, held, module.grid, module.pos_resample
    )


def _noted(metadata: dict[str, Any], table: Tensor) -> tuple[int, int] | None:
    grid = metadata.get('grid')
    return grid if grid and math.prod(grid) == table.shape[1] - 1 else None
