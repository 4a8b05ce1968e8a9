"""The transformer decoder of MAE.

B batch, N patches, V visible, M masked, D width of the encoder, P patch side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ccmim.masking import TokenSplit, take
from ccmim.registry import MODELS
from ccmim.vit import Block, LayerNorm, draw_linear, sincos_pos_embed
from ccmim.vit.archs import resolve_grid


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

    def __init__(
        self,
        in_dim: int = 768,
        embed_dim: int = 512,
        depth: int = 8,
        num_heads: int = 16,
        img_size: int | Sequence[int] = 224,
        patch_size: int = 16,
        in_chans: int = 3,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        grid = resolve_grid(img_size, patch_size)
        self.embed = nn.Linear(in_dim, embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(
            sincos_pos_embed(embed_dim, grid), requires_grad=False
        )
        self.blocks = nn.ModuleList(
            Block(embed_dim, num_heads, mlp_ratio) for _ in range(depth)
        )
        self.norm = LayerNorm(embed_dim)
        self.pred = nn.Linear(embed_dim, patch_size**2 * in_chans)
        self.apply(draw_linear)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(self, visible: Tensor, split: TokenSplit) -> Tensor:
        """Predict the pixels of the masked patches.

        Args:
            visible: Encoded class token and visible patches, of shape (B, 1 + V, D).
            split: Who is visible and who is masked.

        Returns:
            Patches of shape (B, M, 3 * P * P), in the order of ``ids_masked``.
        """
        order = torch.cat([split.ids_visible, split.ids_masked], dim=1)  # (B, N)
        positions = self.pos_embed.expand(len(order), -1, -1)
        positions = torch.cat([positions[:, :1], take(positions[:, 1:], order)], dim=1)

        x = self.embed(visible)
        masks = self.mask_token.to(x.dtype).expand(*split.ids_masked.shape, -1)
        x = torch.cat([x, masks], dim=1) + positions  # (B, 1 + N, decoder width)
        for block in self.blocks[:-1]:
            x = block(x)
        masked = self.blocks[-1](x, rows=slice(visible.shape[1], None))  # (B, M, ...)
        return self.pred(self.norm(masked))
