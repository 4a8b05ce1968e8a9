"""Agreement of patch neighbors before and after training, without labels.

n photos, N patches, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

NEAR = 10  # neighbors that are compared
_MOST = 4096  # patches


def patch_neighbors(patches: Tensor, k: int = NEAR, most: int = _MOST) -> Tensor:
    """Find the patches of other photos that are most like each patch.

    Args:
        patches: Features (n, N, D) of at least two photos.
        k: How many; fewer where there are not so many patches.
        most: Patches that are looked at, evenly spread over all.

    Returns:
        Numbers of the nearest ones by cosine, (m, k), int32.

    Raises:
        ValueError: If there is one photo only.
    """
    if len(patches) < 2:
        raise ValueError('neighbors need at least two photos')
    photos = torch.arange(len(patches)).repeat_interleave(patches.shape[1])
    step = max(1, -(-len(photos) // most))
    units = F.normalize(patches.flatten(0, 1)[::step].float())
    photos = photos[::step]
    same = photos[:, None] == photos
    k = min(k, int((~same).sum(1).min()))
    alike = (units @ units.T).masked_fill(same, -torch.inf)
    return alike.topk(k).indices.int()


def agreement(ours: Tensor, theirs: Tensor) -> float:
    """Compute which part of the neighbors is the same, in per cent.

    Args:
        ours: Numbers (m, k) of ``patch_neighbors``.
        theirs: Those by other weights, of the same photos.
    """
    same = (ours[:, :, None] == theirs[:, None]).any(2)
    return 100 * same.double().mean().item()
