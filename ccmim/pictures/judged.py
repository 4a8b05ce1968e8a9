"""Predictions of several networks on the same photos, side by side.

H W image, N patches, D width.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from ccmim.labels.settings import wheel
from ccmim.pictures.tiles import enlarge, sheet, spread, tile_size, with_box, with_note

_QUERY, _FOUND, _TRUE = (255, 196, 0), (64, 224, 120), (255, 255, 255)  # RGB
_NONE = (0, 0, 0)


def nearest_patch(
    known: Tensor, wanted: Tensor
) -> tuple[list[int], list[int], list[float]]:
    """Find the known patch that is most like each of some patches.

    Args:
        known: Features of the photos that are remembered, (n, N, D).
        wanted: Features of patches, (m, D).

    Returns:
        For each of the latter the photo and the patch there, and their cosine.
    """
    flat, count = known.flatten(0, 1), known.shape[1]
    units = F.normalize(wanted.float())
    parts = [units @ F.normalize(part.float()).T for part in flat.split(2**16)]
    values, ids = torch.cat(parts, dim=1).max(1)
    return (ids // count).tolist(), (ids % count).tolist(), values.tolist()


def same_patch(patch: int, grid: tuple[int, int], other: tuple[int, int]) -> int:
    """Find the patch of another grid on which the center of a patch lies."""
    row, column = divmod(patch, grid[1])
    row, column = (
        (2 * position + 1) * theirs // (2 * ours)
        for position, ours, theirs in zip((row, column), grid, other, strict=True)
    )
    return row * other[1] + column


def nearest_sheet(
    images: Tensor,
    nearest: Mapping[str, Sequence[tuple[Tensor, int, float]]],
    queries: Sequence[int],
    grids: Mapping[str, tuple[int, int]],
    segmented: Mapping[str, Sequence[Tensor]],
    count: int,
) -> np.ndarray:
    """Draw a patch of each photo, the nearest known one, and classes by retrieval.

    Args:
        images: uint8 photos (B, 3, H, W).
        nearest: For each network and photo, the photo where the nearest patch is, its
            number there, and the cosine.
        queries: Numbers of the patches that are asked for, on the first grid.
        grids: Rows and columns of each network's patches.
        segmented: Classes of pixels (H, W); 'truth' among the networks.
        count: How many classes there are.
    """
    first = next(iter(grids.values()))
    size = tile_size(first)
    tiles = enlarge(images / 255, size)
    columns = {
        'patch': [
            with_box(tile, patch, first, _QUERY)
            for tile, patch in zip(tiles, queries, strict=True)
        ]
    }
    for name, rows in nearest.items():
        columns[f'{name}: nearest'] = [
            with_note(
                with_box(
                    enlarge(photo[None] / 255, size)[0], patch, grids[name], _FOUND
                ),
                f'{cosine:.2f}',
            )
            for photo, patch, cosine in rows
        ]
    for name, maps in segmented.items():
        columns[f'{name}: classes'] = colored(maps, size, count)
    caption = (
        'The patch of each photo that differs most from the rest of it, the most '
        'similar one of the training photos, and the classes that all patches take '
        'from their neighbors.'
    )
    return sheet(columns, caption=caption)


def cluster_sheet(
    images: Tensor,
    truth: Sequence[Tensor],
    clustered: Mapping[str, Sequence[Tensor]],
    grids: Mapping[str, tuple[int, int]],
    count: int,
) -> np.ndarray:
    """Draw clusters of patches as colors beside the classes.

    Args:
        images: uint8 photos (B, 3, H, W).
        truth: True classes of pixels (H, W).
        clustered: For each network the clusters of the patches, (N,).
        grids: Rows and columns of each network's patches.
        count: How many classes and clusters there are.
    """
    size = tile_size(next(iter(grids.values())))
    columns = {
        'photo': list(enlarge(images / 255, size)),
        'classes': colored(truth, size, count),
    }
    colors = torch.tensor(wheel(count)).float()
    for name, ids in clustered.items():
        values = colors[torch.stack(list(ids))]  # (B, N, 3)
        columns[f'{name}: clusters'] = list(
            spread(values, grids[name], size).astype(np.uint8)
        )
    caption = (
        'As many clusters of patches as there are classes; colors of clusters and of '
        'classes have nothing to do with each other.'
    )
    return sheet(columns, caption=caption)


def box_sheet(
    images: Tensor, objects: Sequence[Tensor], boxes: Mapping[str, Tensor]
) -> np.ndarray:
    """Draw the object that each network finds over the true ones.

    Args:
        images: uint8 photos (B, 3, H, W).
        objects: Boxes of the true objects as fractions, (n, 4) a photo.
        boxes: For each network the boxes found, (B, 4).
    """
    height, width = images.shape[-2:]
    columns = {}
    for name, predicted in boxes.items():
        columns[name] = []
        for image, own, box in zip(images, objects, predicted, strict=True):
            picture = Image.fromarray(image.permute(1, 2, 0).numpy())
            draw = ImageDraw.Draw(picture)
            scale = torch.tensor([width, height, width, height])
            for one, ink in [(o, _TRUE) for o in own] + [(box, _FOUND)]:
                left, top, right, low = (one * scale).round().int().tolist()
                edges = left, top, max(right - 1, left), max(low - 1, top)
                draw.rectangle(edges, outline=ink, width=2)
            columns[name].append(np.asarray(picture))
    caption = 'White: true objects. Green: the one that is found without labels.'
    return sheet(columns, blocks=2, caption=caption)


def colored(
    maps: Sequence[Tensor], size: tuple[int, int], count: int
) -> list[np.ndarray]:
    """Paint classes of pixels (H, W) as tiles; what has no class is black."""
    palette = np.array([*wheel(count), _NONE], dtype=np.uint8)
    tiles = []
    for one in maps:
        numbers = one.numpy().astype(int)
        numbers = np.where((numbers >= 0) & (numbers < count), numbers, count)
        picture = Image.fromarray(palette[numbers])
        tiles.append(np.asarray(picture.resize(size[::-1], Image.Resampling.NEAREST)))
    return tiles
