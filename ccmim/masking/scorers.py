"""How important each patch of an image is.

B batch, N patches, D width.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from annotated_types import MinLen
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit
from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.vit.no_grad import no_grad


@MODELS.register_module()
class ClassAttentionScorer(nn.Module):
    """Score patches by the attention of the class token, summed over blocks.

    The network being trained scores its own input, with the weights of the step, as in
    the published ccMIM (``models_ccmim.py``, ``get_mask_idx``).

    Args:
        blocks: Blocks to sum over: 'all', a number k for the first k, or their indices,
            from the end where negative: ``[-1]`` is AttMask's choice.
        direction: 'row' for class token to patch (published), 'column' for patch to
            class token (an early version of the published code).

    Raises:
        ValueError: If the network has no such blocks.
    """

    def __init__(
        self,
        blocks: Literal['all'] | Count | Annotated[Sequence[int], MinLen(1)] = 'all',
        direction: Literal['row', 'column'] = 'row',
    ) -> None:
        super().__init__()
        self.blocks = blocks
        self.direction = direction

    @no_grad()
    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalised images (B, 3, H, W): (B, N), at least 0."""
        tokens = backbone.embed(images)
        wanted = _indices(backbone.depth if self.blocks == 'all' else self.blocks)
        if wanted[0] < -backbone.depth or wanted[-1] >= backbone.depth:
            raise ValueError(
                f'blocks={self.blocks!r} asks for more than the {backbone.depth} '
                'blocks of the network'
            )
        blocks = sorted(i % backbone.depth for i in wanted)
        return backbone.class_attention(tokens, blocks, self.direction).sum(dim=1)


@MODELS.register_module()
class ConstantScorer(nn.Module):
    """Score all patches alike, at no cost: what random masking needs."""

    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Give ones of shape (B, N) for images (B, 3, H, W)."""
        return images.new_ones(len(images), math.prod(backbone.grid_of(images)))


def importance_gap(scores: Tensor, split: TokenSplit) -> Tensor:
    """Compare the scores of masked and visible patches: how semantic a mask is.

    Args:
        scores: Importance of each patch, of shape (B, N), with a positive mean.
        split: The partition drawn from them.

    Returns:
        (mean of masked - mean of visible) / mean of all, a scalar without gradient; 0
        for masks that ignore the scores, positive when important patches are masked.
    """
    scores = scores.detach()
    masked = scores.gather(1, split.ids_masked).mean()
    visible = scores.gather(1, split.ids_visible).mean()
    return (masked - visible) / scores.mean()


def _indices(blocks: str | int | Sequence[int]) -> list[int]:
    return list(range(blocks)) if isinstance(blocks, int) else sorted(map(int, blocks))
