"""Patches of other images that are most similar to a patch.

B images, N patches, D width; n patches that are asked for.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.pictures.photos import normalized
from ccmim.pictures.tiles import SIDE, enlarge, sheet, tile_size, with_box, with_note

_QUERY, _FOUND = (255, 196, 0), (64, 224, 120)  # RGB


def nearest_patches(
    features: Tensor, images: Tensor, patches: Tensor
) -> tuple[Tensor, Tensor]:
    """Find in each other image the patch that is most like a given one.

    Likeness is the cosine after the mean of all patches is removed: what all have in
    common says nothing.

    Args:
        features: Of shape (B, N, D).
        images: Image index of each query patch, of shape (n,), in [0, B).
        patches: Its number there, of shape (n,), in [0, N).

    Returns:
        Cosines and patch numbers, both of shape (n, B): column j is for image j. The
        cosine is -2, lower than any, for the patch's own image.
    """
    centered = features.float() - features.float().mean(dim=(0, 1))
    unit = F.normalize(centered, dim=2)
    cosines = torch.einsum('qd,bnd->qbn', unit[images, patches], unit)
    best, ids = cosines.max(dim=2)
    return best.scatter(1, images[:, None], -2.0), ids


def salient_patches(features: Tensor) -> Tensor:
    """Choose a patch of each image: the one least like the average of its image.

    Args:
        features: Of shape (B, N, D).

    Returns:
        Patch numbers of shape (B,).
    """
    centered = features.float() - features.float().mean(dim=1, keepdim=True)
    return centered.norm(dim=2).argmax(dim=1)


@torch.no_grad()
def neighbor_sheet(
    backbone: nn.Module,
    images: Tensor,
    rows: int = 6,
    count: int = 5,
    side: int = SIDE,
    batch: int = 32,
) -> np.ndarray:
    """Draw a patch of some images, and the most similar ones of other images.

    Args:
        backbone: Vision Transformer, in evaluation mode.
        images: uint8 RGB images of shape (B, 3, H, W), at least two.
        rows: How many images to show a patch of, evenly from the first to the last.
        count: How many other images to show for each.
        side: Pixels of a tile's longer side, about.
        batch: Images at a time.

    Returns:
        A uint8 RGB picture of shape (height, width, 3), with the cosines on it.

    Raises:
        ValueError: If there is one image only.
    """
    if len(images) < 2:
        raise ValueError('neighbors need at least two images: give a folder of them')
    tokens = [
        backbone.encode(backbone.embed(normalized(part, backbone)))[:, 1:].cpu()
        for part in images.split(batch)
    ]
    features, grid = torch.cat(tokens), backbone.grid_of(images)
    shown = torch.linspace(0, len(images) - 1, min(rows, len(images))).round().long()
    queries = salient_patches(features[shown])
    cosines, patches = nearest_patches(features, shown, queries)
    order = cosines.argsort(dim=1, descending=True)  # itself last
    order = order[:, : min(count, len(images) - 1)]
    tiles = enlarge(images / 255, tile_size(grid, side))
    columns = {
        'patch': [
            with_box(tile, patch, grid, _QUERY)
            for tile, patch in zip(tiles[shown], queries.tolist(), strict=True)
        ]
    }
    for rank, nearest in enumerate(order.T.tolist(), start=1):
        columns[f'nearest {rank}'] = [
            with_note(
                with_box(tiles[other], int(patches[i, other]), grid, _FOUND),
                f'{cosines[i, other]:.2f}',
            )
            for i, other in enumerate(nearest)
        ]
    caption = (
        'The patch of each image that differs most from the rest of it, and the most '
        'similar patches of other images, with the cosine of their features.'
    )
    return sheet(columns, caption=caption)
