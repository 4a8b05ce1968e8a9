"""Unsupervised object discovery: LOST.

Simeoni et al., https://arxiv.org/abs/2109.14279, without its clustering of found
objects. B images, N patches, D width.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_GROWN = 100  # patches that may join the first one, as published


class LastKeys:
    """Gives the keys of patches in the last block, as a network encodes images.

    Of attention without keys (LISA) it gives the normed tokens that enter it.

    Args:
        backbone: Vision Transformer.
    """

    def __init__(self, backbone: Any) -> None:
        self._backbone = backbone
        self._seen: list[Tensor] = []

    def __enter__(self) -> 'LastKeys':
        """Begin to listen to the last block."""
        block = self._backbone.blocks[-1]
        self._hook = block.register_forward_pre_hook(
            lambda _, args: self._seen.append(args[0])
        )
        return self

    def __exit__(self, *error: Any) -> None:
        """Listen no longer."""
        self._hook.remove()

    def take(self) -> Tensor:
        """Give the keys of the images that were encoded last, (B, N, D)."""
        tokens, dim = self._seen.pop(), self._backbone.embed_dim
        block: nn.Module = self._backbone.blocks[-1]
        tokens = block.norm1(tokens[:, self._backbone.num_prefix :])
        if block.attn.qkv.out_features != 3 * dim:
            return tokens
        return block.attn.qkv(tokens)[..., dim : 2 * dim]


def find_object(keys: Tensor, grid: tuple[int, int]) -> tuple[int, int, int, int]:
    """Find the patches of one object.

    The first patch is the one that is positively correlated with the fewest others.
    Those of the 100 next fewest that are so with the first one grow it: the object is
    the connected part around the first one of patches whose correlations with all of
    them sum up to more than 0.

    Args:
        keys: Of the patches of an image, (N, D), row by row.
        grid: Rows and columns of the patches.

    Returns:
        First row and column, and those after the last ones.
    """
    from scipy import ndimage  # slow to import, rarely needed

    alike = keys @ keys.T
    order = (alike.clone().fill_diagonal_(0) > 0).sum(1).argsort(stable=True)
    first, few = int(order[0]), order[:_GROWN]
    grown = few[alike[first, few] > 0]  # itself too
    sums = alike[grown].sum(0)
    parts, _ = ndimage.label((sums > 0).view(grid).cpu().numpy())
    row, column = divmod(first, grid[1])
    rows, columns = np.nonzero(parts == parts[row, column])
    return (
        int(rows.min()),
        int(columns.min()),
        int(rows.max()) + 1,
        int(columns.max()) + 1,
    )


def find_boxes(
    keys: Tensor, grid: tuple[int, int], size: tuple[int, int], patch_size: int
) -> Tensor:
    """Find the box of one object in each image.

    Args:
        keys: Of shape (B, N, D).
        grid: Rows and columns of the patches.
        size: Height and width of the images, beyond which patches may reach.
        patch_size: Side of a patch.

    Returns:
        Left, top, right and bottom as fractions of the image, (B, 4).
    """
    boxes = []
    for one in keys.float():
        top, left, bottom, right = (patch_size * v for v in find_object(one, grid))
        boxes.append(
            [
                left / size[1],
                top / size[0],
                min(right / size[1], 1),
                min(bottom / size[0], 1),
            ]
        )
    return torch.tensor(boxes)


def corloc_hits(boxes: Tensor, objects: Sequence[Tensor], least: float = 0.5) -> Tensor:
    """Return which images have an object that their box overlaps: CorLoc's fraction.

    Args:
        boxes: Left, top, right and bottom, (B, 4).
        objects: Boxes of the objects of each image, (n, 4).
        least: IoU that counts.

    Returns:
        1 or 0 for each image, NaN where there is no object, (B,).
    """
    hits = []
    for box, own in zip(boxes, objects, strict=True):
        if not len(own):
            hits.append(float('nan'))
            continue
        low = torch.maximum(box[:2], own[:, :2])
        high = torch.minimum(box[2:], own[:, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        areas = (box[2:] - box[:2]).prod() + (own[:, 2:] - own[:, :2]).prod(1)
        hits.append(float((shared / (areas - shared) >= least).any()))
    return torch.tensor(hits)
