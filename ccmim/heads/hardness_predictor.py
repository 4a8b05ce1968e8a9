"""Predict how hard each patch is to reconstruct.

B batch, N patches, V visible, M masked, D width of the encoder.
"""

from typing import Annotated, Any

from torch import Tensor, nn

from ccmim.heads.mae_decoder import MAEDecoder
from ccmim.masking import TokenSplit
from ccmim.ranges import ArgsOf, Count, Sides
from ccmim.registry import MODELS
from ccmim.vit.archs import resolve_grid


@MODELS.register_module()
class HardnessPredictor(nn.Module):
    """Predict the reconstruction error of each patch, up to what keeps their order.

    A decoder of HPM (https://arxiv.org/abs/2304.05919) whose outputs are averaged. The
    published one shares the embedding and the mask token with the decoder of pixels;
    this one has its own.

    Args:
        in_dim: Width D of the encoder.
        img_size: Side or (height, width) of the images in pixels.
        patch_size: Side of a patch in pixels.
        out_dim: Outputs of a patch. The published predictor has 768, as many as the
            decoder of pixels. The mean of n begins with a spread of
            sqrt(2 W / (n (W + n))) at width W: 0.032, and 1.4 for a single one.
        kwargs: ``embed_dim``, ``depth`` and ``num_heads``, as of ``MAEDecoder``.
    """

    def __init__(
        self,
        in_dim: Count = 768,
        img_size: Sides = 224,
        patch_size: Count = 16,
        out_dim: Count = 1,
        **kwargs: Annotated[Any, ArgsOf(MAEDecoder)],
    ) -> None:
        super().__init__()
        grid = resolve_grid(img_size, patch_size)
        self.decoder = MAEDecoder(
            in_dim, img_size=grid, patch_size=1, in_chans=out_dim, **kwargs
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Predict errors (B, N) from the tokens (B, 1 + N, D) of full images."""
        decoder = self.decoder
        x = decoder.embed(tokens) + decoder.pos_embed
        for block in decoder.blocks:
            x = block(x)
        return decoder.pred(decoder.norm(x))[:, 1:].mean(dim=2)

    def of_masked(self, visible: Tensor, split: TokenSplit) -> Tensor:
        """Predict errors (B, M) from the rest (B, 1 + V, D), as ``ids_masked``."""
        return self.decoder(visible, split).mean(dim=2)
