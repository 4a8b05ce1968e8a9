"""Overlap of masks with objects.

B batch, H W image, N patches, P patch side.
"""

import torch.nn.functional as F
from torch import Tensor


def mask_overlap(
    mask: Tensor, objects: Tensor, patch_size: int, least: float = 0.5
) -> Tensor:
    """Compare the masked patches that lie on objects with what chance would mask.

    overlap = |masked and on objects| / |masked| - |on objects| / |all patches|, where
    the counts are over all images. 0 for random masks, 1 minus the objects' fraction of
    the patches for masks that cover nothing else.

    Args:
        mask: True where a patch is masked, of shape (B, N), row by row; at least one.
        objects: True where a pixel belongs to any object, of shape (B, H, W): the union
            of an image's instance masks. What does not fill a patch does not count.
        patch_size: Side P of a patch in pixels.
        least: Fraction of its pixels, in (0, 1], from which on a patch lies on objects.

    Returns:
        Scalar in [-1, 1].

    Raises:
        ValueError: If the objects are of another number of patches.
    """
    coverage = F.avg_pool2d(objects.float()[:, None], patch_size).flatten(1)  # (B, N)
    if coverage.shape != mask.shape:
        raise ValueError(
            f'objects of {tuple(objects.shape)} have {coverage.shape[1]} patches of '
            f'side {patch_size} an image, mask is of {tuple(mask.shape)}'
        )
    on_objects = (coverage >= least).float()
    return on_objects[mask].mean() - on_objects.mean()
