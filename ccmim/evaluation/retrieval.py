"""Dense nearest-neighbor retrieval: a dense probe without training.

Hummingbird (Balazevic et al., https://arxiv.org/abs/2306.01667): patches of validation
images look up the labels of the most similar training patches. B images, H W pixels of
an image, P patch side, N patches, D width, C classes; n patches that are remembered,
m that are asked for.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ccmim.evaluation.knn import nearest
from ccmim.ranges import Positive, in_ranges

NEIGHBORS, TEMPERATURE = 30, 0.02  # as published


def class_counts(maps: Tensor, patch_size: int, num_classes: int) -> Tensor:
    """Count the pixels of each class in each patch.

    Args:
        maps: Class of each pixel, (B, H, W); of other values than 0 to C - 1 it is
            unlabeled. Sides that are no multiple of P are filled up with such pixels.
        patch_size: Side P of a patch.
        num_classes: Number C of classes.

    Returns:
        Counts (B, N, C) in float32, row by row.
    """
    side, count = patch_size, num_classes
    height, width = maps.shape[1:]
    known = (maps >= 0) & (maps < count)
    maps = maps.long().where(known, count)
    maps = F.pad(maps, (0, -width % side, 0, -height % side), value=count)
    patches = maps.unfold(1, side, side).unfold(2, side, side).flatten(3).flatten(1, 2)
    counts = torch.zeros(*patches.shape[:2], count + 1)
    counts.scatter_add_(2, patches, torch.ones_like(patches, dtype=torch.float32))
    return counts[..., :count]


def soft_labels(counts: Tensor) -> Tensor:
    """Turn pixels (..., C) into soft labels: sums of 1, or 0 where none is labeled."""
    return counts / counts.sum(-1, keepdim=True).clamp(min=1)


def choose_patches(targets: Tensor, count: int, noise: Tensor) -> Tensor:
    """Choose patches of each image for a memory that cannot hold all: rare ones first.

    The score of a patch is the sum, over the classes in it, of the number of the
    image's patches that hold the class, times uniform noise; the lowest are kept.

    Args:
        targets: Soft labels (B, N, C).
        count: Patches kept of each image.
        noise: Uniform in [0, 1), of shape (B, N).

    Returns:
        Whether each patch is kept, (B, N); one without labels is not.
    """
    held = targets > 0
    scores = (held * held.sum(1, keepdim=True)).sum(2) * noise
    labeled = held.any(2)
    scores = scores.masked_fill(~labeled, torch.inf)
    ids = scores.topk(min(count, scores.shape[1]), dim=1, largest=False).indices
    return torch.zeros_like(labeled).scatter(1, ids, True) & labeled


@in_ranges
def look_up(
    memory: Tensor,
    targets: Tensor,
    queries: Tensor,
    k: int = NEIGHBORS,
    temperature: Positive = TEMPERATURE,
) -> Tensor:
    """Predict soft labels: the mean of the k nearest patches', weighted by a softmax.

    Args:
        memory: Features (n, D), of length 1.
        targets: Their soft labels (n, C).
        queries: Features (m, D).
        k: Neighbors, at most n.
        temperature: Divisor of the cosine similarities in the softmax.

    Returns:
        Soft labels (m, C).

    Raises:
        ValueError: If ``k`` or ``temperature`` is out of range.
    """
    similarities, ids = nearest(memory, queries, k, units=True)
    weights = (similarities / temperature).softmax(1)
    votes = torch.zeros(len(queries), targets.shape[1])
    for j in range(k):  # (m, k, C) at once would be large
        votes += weights[:, j, None] * targets[ids[:, j]]
    return votes


def to_pixels(
    values: Tensor, grid: tuple[int, int], size: tuple[int, int], patch_size: int
) -> Tensor:
    """Upsample values of patches bilinearly and take the greatest at each pixel.

    Args:
        values: Of shape (B, N, C).
        grid: Rows and columns of the patches.
        size: Height and width of the images; patches may reach beyond.
        patch_size: Side P of a patch.

    Returns:
        Classes (B, H, W).
    """
    maps = values.transpose(1, 2).unflatten(2, grid)
    whole = grid[0] * patch_size, grid[1] * patch_size
    classes = [
        F.interpolate(one[None], whole, mode='bilinear').argmax(1) for one in maps
    ]
    return torch.cat(classes)[:, : size[0], : size[1]]


def count_overlaps(
    predicted: Tensor, maps: Tensor, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Count pixels of each class that are found, and that are found or should be.

    Args:
        predicted: Classes (B, H, W), in [0, C).
        maps: True classes (B, H, W); pixels of other values do not count.
        num_classes: Number C of classes.

    Returns:
        Both of shape (B, C): the IoU of a class is the sum of the first over that of
        the second.
    """
    known = (maps >= 0) & (maps < num_classes)
    pairs = maps.long() * num_classes + predicted
    counts = torch.stack(
        [
            pair[keep].bincount(minlength=num_classes**2)
            for pair, keep in zip(pairs, known, strict=True)
        ]
    ).view(-1, num_classes, num_classes)
    right = counts.diagonal(dim1=1, dim2=2)
    return right, counts.sum(1) + counts.sum(2) - right
