"""What a method hides and what it makes of the rest.

B batch, N patches, V visible, M masked, C numbers predicted of a patch, P patch side.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ccmim.masking import TokenSplit, take
from ccmim.teachers import patchify


class Reconstruction(NamedTuple):
    """What a method sees and predicts.

    Attributes:
        scores: Importance of each patch, of shape (B, N).
        mask: True where a patch was masked, of shape (B, N).
        patches: Visible patches as they are and predicted masked ones, in the units
            of the normalised images, of shape (B, N, 3 * P * P).
    """

    scores: Tensor
    mask: Tensor
    patches: Tensor


@torch.no_grad()
def score(method: nn.Module, images: Tensor) -> Tensor:
    """Score the patches as a pretraining step does.

    Args:
        method: A method that masks, in evaluation mode.
        images: Normalised images of shape (B, 3, H, W).

    Returns:
        Importance of each patch, of shape (B, N).
    """
    if hasattr(method, 'scorer'):
        return method.scorer(method.backbone, images)
    return method._score(images)  # HPM's slow network foretells the errors


@torch.no_grad()
def hide(method: nn.Module, images: Tensor) -> tuple[Tensor, TokenSplit]:
    """Score the patches and draw a mask as a pretraining step does.

    Args:
        method: A method that masks, in evaluation mode.
        images: Normalised images of shape (B, 3, H, W).

    Returns:
        Importance of each patch, of shape (B, N), and the partition.
    """
    scores = score(method, images)
    return scores, method.sampler(scores, method.mask_ratio)


@torch.no_grad()
def predict(method: nn.Module, images: Tensor, split: TokenSplit) -> Tensor:
    """Predict the masked patches as a pretraining step does.

    Args:
        method: A method that masks and decodes, in evaluation mode.
        images: Normalised images of shape (B, 3, H, W).
        split: The partition.

    Returns:
        What the method predicts, pixels or features, float32, in the order of
        ``ids_masked``, of shape (B, M, C).
    """
    backbone = method.backbone
    visible = backbone.embed(images, split.ids_visible)
    if not hasattr(method, 'mask_token'):
        return method.decoder(backbone.encode(visible), split).float()
    hidden = method.mask_token(backbone, images, split.ids_masked)
    encoded = backbone.encode(torch.cat([visible, hidden], dim=1))
    return method.decoder(encoded[:, 1 + visible.shape[1] :]).float()


def complete(
    method: nn.Module, images: Tensor, split: TokenSplit, pred: Tensor
) -> Tensor:
    """Put predicted pixels in the place of the masked patches.

    Where the method predicts normalised pixels, each predicted patch gets the mean and
    variance of the true one back, as the pictures of MAE do.

    Args:
        method: A method with a ``reconstruction`` of pixels.
        images: Normalised images of shape (B, 3, H, W).
        split: The partition.
        pred: What ``predict`` gives, of shape (B, M, 3 * P * P).

    Returns:
        Patches in the units of the normalised images, of shape (B, N, 3 * P * P).
    """
    patches = patchify(images, method.backbone.patch_size)
    if method.reconstruction.norm_pix:
        target = take(patches, split.ids_masked)
        scale = (target.var(dim=-1, keepdim=True) + 1e-6).sqrt()
        pred = pred * scale + target.mean(dim=-1, keepdim=True)
    ids = split.ids_masked.unsqueeze(-1).expand_as(pred)
    return patches.scatter(1, ids, pred)


def reconstruct(method: nn.Module, images: Tensor) -> Reconstruction:
    """Hide and predict pixels as a pretraining step does; see ``complete``.

    Args:
        method: A method that predicts pixels.
        images: Normalised images of shape (B, 3, H, W).

    Returns:
        The masks and the completed patches.
    """
    scores, split = hide(method, images)
    patches = complete(method, images, split, predict(method, images, split))
    return Reconstruction(scores, split.mask, patches)
