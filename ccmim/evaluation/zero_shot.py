"""Zero-shot classification and image-text retrieval.

n images, m texts, C channels, K classes.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def class_vectors(texts: Tensor, classes: int) -> Tensor:
    """Average the vectors of each class's sentences, as CLIP and FLIP do.

    Args:
        texts: Of length 1, (K * T, C): all T sentences of a class, then the next one's.
        classes: Number of classes K.

    Returns:
        Vectors of length 1, (K, C).
    """
    return F.normalize(texts.unflatten(0, (classes, -1)).mean(dim=1), dim=1)


def zero_shot_accuracy(images: Tensor, classes: Tensor, labels: Tensor) -> float:
    """Compute how often the right class is the nearest.

    Args:
        images: Vectors of length 1, (n, C).
        classes: Those of the classes, (K, C).
        labels: Classes (n,).

    Returns:
        Percent, in [0, 100].
    """
    predicted = (images @ classes.T).argmax(dim=1)
    return 100 * (predicted == labels).double().mean().item()


def retrieval_recall(
    images: Tensor, texts: Tensor, owner: Tensor, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """Compute how often what belongs together is among the k nearest.

    Args:
        images: Vectors of length 1, (n, C).
        texts: Those of the captions, (m, C); each image has at least one.
        owner: The image of each caption, (m,).
        ks: The k.

    Returns:
        Percent by name: ``text R@k`` is how often one of an image's captions is found
        among all captions, ``image R@k`` how often a caption's image is among all
        images. Equal similarities count against it.
    """
    alike = images @ texts.T  # (n, m)
    own = owner == torch.arange(len(images))[:, None]
    best = alike.masked_fill(~own, -torch.inf).amax(dim=1, keepdim=True)
    text_rank = ((alike >= best) & ~own).sum(dim=1)
    to_own = alike.gather(0, owner[None])  # (1, m)
    image_rank = ((alike >= to_own) & ~own).sum(dim=0)
    return {
        f'{name} R@{k}': 100 * (rank < k).double().mean().item()
        for name, rank in (('text', text_rank), ('image', image_rank))
        for k in ks
    }


def retrieval_chance(owner: Tensor, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """Compute what ``retrieval_recall`` is on average when the order is random.

    Args:
        owner: The image of each caption, (m,); each image has at least one.
        ks: The k.

    Returns:
        Percent, by the same names.
    """
    counts, m = owner.bincount().double(), len(owner)
    chances = {}
    for k in ks:
        # None of an image's c captions is among k of m: C(m - c, k) / C(m, k).
        missed = torch.ones_like(counts)
        for i in range(min(k, m)):
            missed *= ((m - counts - i) / (m - i)).clamp(min=0)
        chances[f'text R@{k}'] = 100 * (1 - missed.mean().item())
    return chances | {f'image R@{k}': 100 * min(1, k / len(counts)) for k in ks}
