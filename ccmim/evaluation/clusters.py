"""Compare k-means clusters of patches with classes.

n patches, D width, K clusters, B images, N patches of an image, C classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MANY = 300  # clusters, for overclustering
_STEPS = 20


def fit_clusters(
    features: Tensor, count: int, seed: int = 0, steps: int = _STEPS
) -> Tensor:
    """Fit k-means: Lloyd's steps from centers drawn as k-means++ does.

    Args:
        features: Of shape (n, D).
        count: Clusters K.
        seed: Of the draws.
        steps: Lloyd's steps at most; it ends where no patch changes its cluster.

    Returns:
        Centers (K, D); one that no patch is nearest to stays where it was.

    Raises:
        ValueError: If there are fewer patches than clusters.
    """
    if len(features) < count:
        raise ValueError(f'{len(features)} patches cannot fill {count} clusters')
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(features), (1,), generator=generator)
    centers = features[first]
    lengths = features.square().sum(1)
    far = (lengths - 2 * features @ centers[0] + centers[0].square().sum()).clamp(min=0)
    for _ in range(count - 1):
        # By inversion, as multinomial takes 2^24 numbers at most.
        sums = far.double().cumsum(0)
        draw = torch.rand(1, generator=generator, dtype=torch.double) * sums[-1]
        center = features[torch.searchsorted(sums, draw)]
        new = lengths - 2 * features @ center[0] + center.square().sum()
        far = torch.minimum(far, new.clamp(min=0))
        centers = torch.cat([centers, center])
    old = None
    for _ in range(steps):
        ids = assign(features, centers)
        if old is not None and torch.equal(ids, old):
            break
        sums = torch.zeros_like(centers).index_add_(0, ids, features)
        counts = ids.bincount(minlength=count)[:, None]
        centers = torch.where(counts > 0, sums / counts.clamp(min=1), centers)
        old = ids
    return centers


def assign(features: Tensor, centers: Tensor) -> Tensor:
    """Find the nearest center (K, D) of features (n, D): numbers (n,)."""
    half = centers.square().sum(1) / 2
    parts = features.split(max(1, 2**25 // len(centers)))
    return torch.cat([(part @ centers.T - half).argmax(1) for part in parts])


def match_classes(overlaps: Tensor) -> Tensor:
    """Give each cluster a class.

    Where there are as many clusters as classes, one to one, so that as many pixels as
    possible are right (the Hungarian method); else the class that it overlaps most.

    Args:
        overlaps: Pixels of each cluster that are of each class, (K, C).

    Returns:
        Classes (K,).
    """
    clusters, classes = overlaps.shape
    if clusters != classes:
        return overlaps.argmax(1)
    from scipy.optimize import linear_sum_assignment  # slow to import, rarely needed

    rows, columns = linear_sum_assignment(overlaps.numpy(), maximize=True)
    class_of = torch.empty(clusters, dtype=torch.long)
    class_of[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return class_of


def cluster_overlaps(
    features: Tensor, counts: Tensor, clusters: int, seed: int = 0, fitted: int = 20_000
) -> tuple[Tensor, Tensor, Tensor]:
    """Compare clusters of patches with the classes of their pixels.

    Features are scaled to length 1 first. A pixel is of the cluster of its patch.

    Args:
        features: Of shape (B, N, D).
        counts: Pixels of each patch that are of each class, (B, N, C).
        clusters: Number K of clusters.
        seed: Of the k-means.
        fitted: On how many of the patches, evenly spread, centers are fitted at most.

    Returns:
        Pixels of each class that are found, and those that are found or should be,
        both (B, C); and the cluster of each patch, (B, N).
    """
    flat = F.normalize(features.flatten(0, 1).float())
    step = max(1, -(-len(flat) // fitted))
    ids = assign(flat, fit_clusters(flat[::step].contiguous(), clusters, seed))
    pixels, classes = counts.flatten(0, 1).double(), counts.shape[2]
    overlaps = torch.zeros(clusters, classes, dtype=torch.double)
    taken = match_classes(overlaps.index_add_(0, ids, pixels))[ids]
    taken = taken.view(counts.shape[:2])
    confusion = torch.zeros(len(counts), classes, classes, dtype=torch.double)
    confusion.scatter_add_(  # (B, predicted, true)
        1, taken[..., None].expand(-1, -1, classes), counts.double()
    )
    right = confusion.diagonal(dim1=1, dim2=2)
    united = confusion.sum(1) + confusion.sum(2) - right
    return right, united, ids.view(counts.shape[:2])
