"""Cosine similarities, and InfoNCE based on them.

K keys, C channels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def unit(x: Tensor) -> Tensor:
    """Scale vectors (..., C) to length 1, in float32 at least."""
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)


def products(queries: Tensor, keys: Tensor) -> Tensor:
    """Compute all inner products, in the precision of the vectors.

    Autocast would round them to half precision, and a temperature of 0.1 makes ten
    times the rounding of it; the published ccMIM leaves autocast for its contrast too.

    Args:
        queries: Vectors of shape (..., n, C).
        keys: Vectors of shape (..., K, C).

    Returns:
        Products of shape (..., n, K).
    """
    # Operations are counted on meta tensors, a device that autocast does not know.
    device = 'cpu' if queries.is_meta else queries.device.type
    with torch.autocast(device, enabled=False):
        return queries @ keys.transpose(-2, -1)


def cross_entropy_and_accuracy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast each query's own key with all others.

    Args:
        logits: Similarities over the temperature, of shape (n, K).
        labels: Index of each query's own key, of shape (n,).

    Returns:
        The cross entropy, and the fraction of queries whose own key is the nearest: a
        monitored value without gradient, about 1 / K by chance.
    """
    nearest = logits.argmax(dim=1)
    return F.cross_entropy(logits, labels), (nearest == labels).float().mean()
