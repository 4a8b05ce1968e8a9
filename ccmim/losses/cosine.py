"""Cosine similarities that a contrast can take exponentials of.

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
