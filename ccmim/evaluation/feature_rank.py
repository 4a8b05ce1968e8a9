"""How many directions the features of a network use.

n images, D width.
"""

import torch
from torch import Tensor


def feature_rank(features: Tensor) -> float:
    """Compute RankMe: the exponential of the entropy of the singular values.

    The singular values s of the features, divided by their sum, are taken as
    probabilities p; the rank is exp(-sum of p log p) (Garrido et al., eq. 1 and 2 of
    https://arxiv.org/abs/2210.02885, without its epsilon, as 0 log 0 is 0 here). It
    falls when features collapse, and needs no labels.

    Args:
        features: Of shape (n, D), not centered.

    Returns:
        From 1, when all lie on one line through zero, to min(n, D), when they use all
        directions alike; NaN if a feature is not finite.
    """
    if not features.isfinite().all():
        return float('nan')
    values = torch.linalg.svdvals(features.double())
    shares = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    return torch.special.entr(shares).sum().exp().item()
