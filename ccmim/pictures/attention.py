"""The class token's attention, per head.

B batch, H heads, N patches, C channels of a head.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ccmim.pictures.photos import normalized
from ccmim.pictures.tiles import SIDE, enlarge, heat, named, sheet, tile_size

_MANY = 6  # heads that fit beside each other at full size


@torch.no_grad()
def head_attention(backbone: nn.Module, images: Tensor, block: int = -1) -> Tensor:
    """Compute the attention of the class token to each patch in each head of a block.

    Args:
        backbone: Vision Transformer.
        images: Normalized images of shape (B, 3, H, W).
        block: Which block, from 0, or from the end where negative.

    Returns:
        Probabilities of shape (B, H, N); each row sums to one minus the attention of
        the class token to itself.

    Raises:
        ValueError: If there is no such block.
    """
    if not -backbone.depth <= block < backbone.depth:
        raise ValueError(f'block={block} must lie in [0, {backbone.depth - 1}]')
    chosen, seen = backbone.blocks[block], []
    handle = chosen.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        backbone.encode(backbone.embed(images))
    finally:
        handle.remove()
    rows, attention = slice(1), chosen.attn
    q, k = attention.queries_keys(chosen.norm1(seen[0]), rows, backbone.grid)
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, H, 1, 1 + N)
    bias = attention.bias(seen[0].shape[1], backbone.grid, rows)
    logits = logits if bias is None else logits + bias
    return logits.float().softmax(dim=-1)[:, :, 0, backbone.num_prefix :]


def attention_sheet(
    backbone: nn.Module,
    images: Tensor,
    block: int = -1,
    side: int = SIDE,
    names: Sequence[str] = (),
) -> np.ndarray:
    """Draw a row an image: the mean over heads, and each head, over the image in gray.

    Args:
        backbone: Vision Transformer, in evaluation mode.
        images: uint8 RGB images of shape (B, 3, H, W).
        block: Which block, from 0, or from the end where negative.
        side: Pixels of a tile's longer side, about; half of it where there are many
            heads.
        names: Of the files.

    Returns:
        A uint8 RGB picture of shape (height, width, 3); each map has its own range.
    """
    heads = head_attention(backbone, normalized(images, backbone), block).cpu()
    grid = backbone.grid_of(images)
    size = tile_size(grid, side if heads.shape[1] <= _MANY else side // 2)
    original = enlarge(images / 255, size)
    mean = heat(heads.mean(dim=1), grid, original)
    columns = dict(image=named(original, names), mean=mean)
    for number, head in enumerate(heads.unbind(dim=1), start=1):
        columns[f'head {number}'] = heat(head, grid, original)
    caption = (
        f'Attention of the class token in block {block % backbone.depth + 1} of '
        f'{backbone.depth}; yellow is where it looks most, map by map.'
    )
    return sheet(columns, caption=caption)
