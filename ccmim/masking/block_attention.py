"""The attention of one block of the backbone, as a matrix.

B batch, N patches, H heads, n rows.
"""

import torch
from torch import Tensor, nn

from ccmim.vit.attention import ALL, refuse_scores
from ccmim.vit.no_grad import no_grad


@no_grad()
def block_attention(
    backbone: nn.Module, images: Tensor, block: int, rows: slice = ALL
) -> Tensor:
    """Compute who attends to whom in a block; no gradient.

    Args:
        backbone: The Vision Transformer.
        images: Normalised images of shape (B, 3, H, W).
        block: Which block, from the end where negative.
        rows: The tokens, class token and registers first, whose attention is wanted.

    Returns:
        Probabilities of shape (B, H, n, 1 + N), at least float32; rows sum to one.

    Raises:
        ValueError: If the backbone's attention is not the plain one.
    """
    refuse_scores(backbone.attention)
    grid, prefix = backbone.grid_of(images), backbone.num_prefix
    x = backbone.start(backbone.embed(images))
    for earlier in backbone.blocks[: block % backbone.depth]:
        x, _ = earlier.forward_scored(x, 'row', grid, prefix)  # no stochastic depth
    chosen = backbone.blocks[block]
    q, k = chosen.attn.queries_keys(chosen.norm1(x), rows, grid)
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    bias = chosen.attn.bias(x.shape[1], grid, rows)  # of relative positions, if any
    if bias is not None:
        logits = logits + bias
    wide = torch.promote_types(logits.dtype, torch.float32)
    return logits.softmax(dim=-1, dtype=wide)
