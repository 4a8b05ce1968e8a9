"""Scorers: the importance of each patch, from the network's own attention.

B batch, N patches, D width, H heads, n rows.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import MinLen
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit
from ccmim.precision import no_grad
from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.vit.attention import ALL, refuse_scores


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
        """Score the patches of normalized images (B, 3, H, W): (B, N), at least 0."""
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
        """Return ones of shape (B, N) for images (B, 3, H, W)."""
        return images.new_ones(len(images), math.prod(backbone.grid_of(images)))


@MODELS.register_module()
class FeatureNormScorer(nn.Module):
    """Score patches by the length of their features after the last block.

    Before the final norm, which makes all of them about as long. In large networks
    without registers some patches of plain background stand for the whole image and are
    far longer than the rest (https://arxiv.org/abs/2309.16588).
    """

    @no_grad()
    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalized images (B, 3, H, W): (B, N), at least 0."""
        tokens = backbone.encode(backbone.embed(images), block=backbone.depth - 1)
        return tokens[:, 1:].float().norm(dim=2)


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


@MODELS.register_module()
class NormalizedAttentionScorer(nn.Module):
    """Score patches by the class token's attention, each head brought to [0, 1].

    AMT (https://arxiv.org/abs/2211.15362): in the last block, every head's attention to
    the patches goes from 0 at its least to 1 at its greatest, and the heads are
    averaged. A plain mean follows the heads that attend most to patches.

    Args:
        block: Whose attention, from the end where negative.
    """

    def __init__(self, block: int = -1) -> None:
        super().__init__()
        self.block = block

    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalized images (B, 3, H, W): (B, N), in [0, 1]."""
        refuse_scores(backbone.attention, backbone.class_token)
        rows = block_attention(backbone, images, self.block, slice(1))  # (B, H, 1, 1+N)
        heads = rows[:, :, 0, backbone.num_prefix :]
        low, high = heads.aminmax(dim=2, keepdim=True)
        span = (high - low).clamp(min=torch.finfo(heads.dtype).tiny)
        return ((heads - low) / span).mean(dim=1)


@no_grad()
def block_attention(
    backbone: nn.Module, images: Tensor, block: int, rows: slice = ALL
) -> Tensor:
    """Compute the attention of a block, without gradient.

    Args:
        backbone: The Vision Transformer.
        images: Normalized images of shape (B, 3, H, W).
        block: Which block, from the end where negative.
        rows: The tokens, class token and registers first, whose attention is wanted.

    Returns:
        Probabilities of shape (B, H, n, 1 + N), at least float32; rows sum to one.

    Raises:
        ValueError: If the backbone's attention is not the plain one, or it has no such
            block.
    """
    refuse_scores(backbone.attention)
    depth = backbone.depth
    if not -depth <= block < depth:
        raise ValueError(f'block={block} must lie in [{-depth}, {depth - 1}]')
    grid, prefix = backbone.grid_of(images), backbone.num_prefix
    x = backbone.start(backbone.embed(images))
    for earlier in backbone.blocks[: block % depth]:
        x, _ = earlier.forward_scored(x, 'row', grid, prefix)  # no stochastic depth
    chosen = backbone.blocks[block]
    q, k = chosen.attn.queries_keys(chosen.norm1(x), rows, grid)
    logits = (q * q.shape[-1] ** -0.5) @ k.mT
    bias = chosen.attn.bias(x.shape[1], grid, rows)  # of relative positions, if any
    if bias is not None:
        logits = logits + bias
    wide = torch.promote_types(logits.dtype, torch.float32)
    return logits.softmax(dim=-1, dtype=wide)
