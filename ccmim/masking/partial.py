"""Predicting only some of the masked patches.

B batch, M masked, m of them wanted.
"""

import torch

from ccmim.masking.split import TokenSplit, whole


def some_masked(split: TokenSplit, share: float) -> TokenSplit:
    """Keep a random share of each image's masked patches, to be predicted.

    Neighbouring patches tell much the same, so a decoder learns nearly as much from a
    part of them (CrossMAE, https://arxiv.org/abs/2401.14391, section 3.3).

    Args:
        split: Who is visible and who is masked.
        share: In (0, 1]; at 1 the split is returned as it is and nothing is drawn.

    Returns:
        The split with m = max(1, whole(M * share)) masked patches an image, uniformly
        drawn and in the order in which they stood; its ``mask`` marks these alone.
    """
    if share == 1:
        return split
    masked = split.ids_masked
    count = max(1, whole(masked.shape[1] * share))
    noise = torch.rand(masked.shape, device=masked.device)
    chosen = noise.topk(count, dim=1).indices.sort(dim=1).values
    ids = masked.gather(1, chosen)
    mask = torch.zeros_like(split.mask).scatter_(1, ids, True)
    return TokenSplit(split.ids_visible, ids, mask)
