"""Features of a dataset, for probes on a frozen backbone.

n images, B batch, N patches, D width.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.checkpoints import check_features
from ccmim.precision import Precision, computing_in
from ccmim.progress import progress
from ccmim.ranges import in_ranges

Pool = Literal['class', 'average', 'both']
# Tokens (B, 1 + N, D), the class token first, to features.
POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    'class': lambda tokens: tokens[:, 0],
    'average': lambda tokens: tokens[:, 1:].mean(1),
    'both': lambda tokens: torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1),
}


@in_ranges
@torch.no_grad()
def extract_features(
    backbone: nn.Module,
    loader: Iterable[dict[str, Any]],
    preprocess: Callable[..., dict[str, Any]] | None = None,
    pool: Pool = 'class',
    normalize: bool = False,
    quiet: bool = False,
    block: int | None = None,
    dtype: Precision = 'float32',
) -> tuple[Tensor, Tensor]:
    """Compute the feature of each image, in float32.

    Args:
        backbone: Vision Transformer; its mode is as before afterwards.
        loader: Batches of ``LabeledImages``: ``inputs`` and ``labels``.
        preprocess: A data preprocessor that normalizes a batch on the device of the
            backbone; none if the loader's images are normalized already.
        pool: The 'class' token, the 'average' of the patches, or 'both' in a row.
        normalize: Whether each feature is scaled to length 1.
        quiet: Whether to show no progress.
        block: The block after which tokens are taken as they are, counted from 0; those
            after the final norm when None. Where a head of one layer predicts pixels,
            the last blocks do what a decoder does elsewhere, and what tells images
            apart lies before them (https://proceedings.mlr.press/v119/chen20s.html).
        dtype: What the network computes in, see ``precision_of``.

    Returns:
        Features (n, D), or (n, 2 D) for 'both', and labels (n,), on the host.

    Raises:
        ValueError: If ``pool`` is another one, there is no such block, or features
            are not finite.
    """
    was_training = backbone.training
    backbone.eval()
    features, labels = [], []
    device = next(backbone.parameters()).device
    count = len(loader) if hasattr(loader, '__len__') else 0
    batches = progress(loader, 'Features', count, 'batches', quiet)
    for batch in batches:
        labels.append(batch['labels'])
        if preprocess is not None:
            batch = preprocess(batch, False)
        with computing_in(dtype, device):
            tokens = backbone.encode(backbone.embed(batch['inputs']), block=block)
        feature = POOLS[pool](tokens.float())
        features.append((F.normalize(feature) if normalize else feature).cpu())
    backbone.train(was_training)
    joined = torch.cat(features)
    check_features(joined, backbone)
    return joined, torch.cat(labels)


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
    ratios = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    return torch.special.entr(ratios).sum().exp().item()
