"""Weighted k-nearest-neighbor classification on features.

Wu et al., Sec. 3.4 of https://arxiv.org/abs/1805.01978, with DINO's temperature.
n training images, m test images, C classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ccmim.ranges import Positive, in_ranges

NEIGHBORS = 20  # that vote by default: figures are of the same number
_CHUNK = 2**26  # similarities at a time: 256 MiB


def nearest(
    train: Tensor, test: Tensor, k: int, units: bool = False
) -> tuple[Tensor, Tensor]:
    """Find the k training features with the largest cosine similarity.

    Args:
        train: Features (n, D), of any length.
        test: Features (m, D).
        k: At most n.
        units: Whether ``train`` has been scaled to length 1 already, which takes long
            for many features and few questions.

    Returns:
        Similarities (m, k), the largest first, and numbers of the training images.

    Raises:
        ValueError: If k is not from 1 to n.
    """
    if not 1 <= k <= len(train):
        raise ValueError(f'k={k} must lie in [1, {len(train)}], the training images')
    train, test = train if units else F.normalize(train), F.normalize(test)
    rows = max(1, _CHUNK // len(train))
    parts = [(part @ train.T).topk(k) for part in test.split(rows)]
    return torch.cat([f.values for f in parts]), torch.cat([f.indices for f in parts])


@in_ranges
def vote(similarities: Tensor, labels: Tensor, temperature: Positive = 0.07) -> Tensor:
    """Let neighbors vote with weight exp(similarity / temperature).

    Args:
        similarities: Of the neighbors, (m, k).
        labels: Their classes, (m, k).
        temperature: Positive; the smaller, the more the nearest decide.

    Returns:
        The class with most votes, (m,); the first of equal ones.

    Raises:
        ValueError: If ``temperature`` is not positive.
    """
    # Relative to the nearest, so that no temperature is too small for the exponent.
    weights = ((similarities - similarities[:, :1]) / temperature).exp()
    votes = weights.new_zeros(len(labels), int(labels.max()) + 1)
    return votes.scatter_add_(1, labels, weights).argmax(1)


def knn_accuracy(
    train: Tensor,
    train_labels: Tensor,
    test: Tensor,
    test_labels: Tensor,
    k: int = NEIGHBORS,
    temperature: float = 0.07,
) -> float:
    """Compute the accuracy of weighted k-NN classification.

    Args:
        train: Features (n, D).
        train_labels: Classes (n,).
        test: Features (m, D).
        test_labels: Classes (m,).
        k: Number of neighbors.
        temperature: See ``vote``.

    Returns:
        Percent, in [0, 100].

    Raises:
        ValueError: If ``k`` or ``temperature`` is out of range.
    """
    similarities, ids = nearest(train, test, k)
    predicted = vote(similarities, train_labels[ids], temperature)
    return 100 * (predicted == test_labels).double().mean().item()
