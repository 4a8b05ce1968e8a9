"""Images cut into patches, as the patch embedding multiplies them.

B batch, H W image, P patch side, N patches.
"""

import torch.nn.functional as F
from torch import Tensor


def cut_patches(images: Tensor, side: int, ids: Tensor | None = None) -> Tensor:
    """Cut images into flat patches in the order of a convolution's weights.

    A convolution over disjoint patches is the product of these with its weights: the
    same sum, and patches that are not wanted cost nothing in either direction.

    Args:
        images: Images of shape (B, C, H, W); padded with zeros on the right and bottom
            to whole patches.
        side: Side P of a patch in pixels.
        ids: Patches wanted, of shape (B, n), in [0, N); all, row by row, when None.

    Returns:
        Patches of shape (B, n, C * P * P).
    """
    height, width = images.shape[-2:]
    if height % side or width % side:
        images = F.pad(images, (0, -width % side, 0, -height % side))
    grid = images.unflatten(3, (-1, side)).unflatten(2, (-1, side))
    patches = grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    if ids is None:
        return patches
    return patches.gather(1, ids.unsqueeze(-1).expand(-1, -1, patches.shape[-1]))
