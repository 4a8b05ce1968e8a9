"""The transformer decoder of MAE.

B batch, N patches, V visible, M masked, D width of the encoder, P patch side.
"""

import math

import torch
from torch import Tensor, nn

from ccmim.masking import TokenSplit, take
from ccmim.ranges import Count, Positive, Sides
from ccmim.registry import MODELS
from ccmim.vit import Block, LayerNorm, draw_linear, sincos_pos_embed
from ccmim.vit.archs import resolve_grid
from ccmim.vit.embedding import resample_pos_embed


@MODELS.register_module()
class MAEDecoder(nn.Module):
    """Predict the masked patches from the encoded visible ones.

    Tokens stand in the order [class | visible | masked]: attention does not care about
    the order, so positions are gathered instead of un-shuffling the tokens, and the
    masked rows are a plain slice, the only one that the last block computes. The result
    is that of the published MAE decoder.

    Args:
        in_dim: Width D of the encoder.
        embed_dim: Width of the decoder; a multiple of 4.
        depth: Number of blocks.
        num_heads: Number of attention heads.
        img_size: Side or (height, width) of the images in pixels.
        patch_size: Side P of a patch in pixels.
        in_chans: Channels of an image.
        mlp_ratio: Width of the MLPs in units of ``embed_dim``.
    """

    make_block: type[nn.Module] = Block

    def __init__(
        self,
        in_dim: Count = 768,
        embed_dim: Count = 512,
        depth: Count = 8,
        num_heads: Count = 16,
        img_size: Sides = 224,
        patch_size: Count = 16,
        in_chans: Count = 3,
        mlp_ratio: Positive = 4.0,
    ) -> None:
        super().__init__()
        self.grid = resolve_grid(img_size, patch_size)
        self.embed = nn.Linear(in_dim, embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(
            sincos_pos_embed(embed_dim, self.grid), requires_grad=False
        )
        self.blocks = nn.ModuleList(
            self.make_block(embed_dim, num_heads, mlp_ratio) for _ in range(depth)
        )
        self.norm = LayerNorm(embed_dim)
        self.pred = nn.Linear(embed_dim, patch_size**2 * in_chans)
        self.apply(draw_linear)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, visible: Tensor, split: TokenSplit) -> Tensor:
        """Predict the pixels of the masked patches.

        Args:
            visible: Encoded class token and visible patches, of shape (B, 1 + V, D).
            split: Which patches are visible and which are masked.

        Returns:
            Patches of shape (B, M, 3 * P * P), in the order of ``ids_masked``.
        """
        order = torch.cat([split.ids_visible, split.ids_masked], dim=1)  # (B, N)
        table = decoder_positions(self.pos_embed, self.grid, split)
        positions = table.expand(len(order), -1, -1)
        positions = torch.cat([positions[:, :1], take(positions[:, 1:], order)], dim=1)

        x = self.embed(visible)
        masks = self.mask_token.to(x.dtype).expand(*split.ids_masked.shape, -1)
        x = torch.cat([x, masks], dim=1) + positions  # (B, 1 + N, decoder width)
        for block in self.blocks[:-1]:
            x = block(x)
        masked = self.blocks[-1](x, rows=slice(visible.shape[1], None))  # (B, M, ...)
        return self.pred(self.norm(masked))


def decoder_positions(
    table: Tensor, grid: tuple[int, int], split: TokenSplit
) -> Tensor:
    """Fit a decoder's positions to images of another size and the same shape.

    Args:
        table: Positions (1, 1 + rows * columns, C) of ``grid``.
        grid: Rows and columns that the decoder was made for.
        split: Of the images at hand, with N patches each.

    Returns:
        Positions of shape (1, 1 + N, C); ``table`` itself for images of its own size.

    Raises:
        ValueError: If N patches have no grid of the same shape.
    """
    count = split.mask.shape[1]
    scale = math.sqrt(count / (grid[0] * grid[1]))
    size = round(grid[0] * scale), round(grid[1] * scale)
    if size[0] * size[1] != count:
        raise ValueError(
            f"{count} patches do not have the shape of the decoder's grid {grid}: "
            'train with images of one aspect ratio, and set decoder.img_size to it'
        )
    return resample_pos_embed(table, grid, size)
