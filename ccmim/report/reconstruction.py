"""Pictures of what a method hides and what it makes of the rest.

B batch, N patches, M masked, P patch side.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from torch import Tensor, nn

from ccmim.masking import take
from ccmim.targets import patchify, unpatchify

_GREY = 0.5


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
def reconstruct(method: nn.Module, images: Tensor) -> Reconstruction:
    """Hide and predict patches as a pretraining step does.

    Where the method predicts normalised pixels, each predicted patch gets the mean and
    variance of the true one back, as the pictures of MAE do.

    Args:
        method: A method with the parts of ``ccmim.methods.MAE``.
        images: Normalised images of shape (B, 3, H, W).

    Returns:
        The masks and the completed patches.
    """
    scores = method.scorer(method.backbone, images)
    split = method.sampler(scores, method.mask_ratio)
    visible = method.backbone.embed(images, split.ids_visible)
    pred = method.decoder(method.backbone.encode(visible), split).float()

    patches = patchify(images, method.backbone.patch_size)
    if method.reconstruction.norm_pix:
        target = take(patches, split.ids_masked)
        scale = (target.var(dim=-1, keepdim=True) + 1e-6).sqrt()
        pred = pred * scale + target.mean(dim=-1, keepdim=True)
    ids = split.ids_masked.unsqueeze(-1).expand_as(pred)
    return Reconstruction(scores, split.mask, patches.scatter(1, ids, pred))


def reconstruction_sheet(method: nn.Module, images: Tensor) -> np.ndarray:
    """Draw a row an image: original, importance, masked, reconstruction.

    Args:
        method: A pretraining method with mmengine's image preprocessor.
        images: uint8 RGB images of shape (B, 3, H, W).

    Returns:
        An RGB picture of shape (B * (H + 4), 4 * (W + 4), 3), uint8.
    """
    method.eval()
    normalised = method.data_preprocessor(dict(inputs=images))['inputs']
    result = reconstruct(method, normalised)
    backbone, grid = method.backbone, method.backbone.grid_of(images)

    original = images.float().cpu() / 255
    completed = unpatchify(result.patches, backbone.patch_size, grid)
    preprocessor = method.data_preprocessor
    completed = (completed * preprocessor.std + preprocessor.mean).cpu() / 255
    hidden = _to_pixels(result.mask.float(), grid, backbone.patch_size)
    masked = torch.where(hidden > 0, _GREY, original)
    heat = _heat(_to_pixels(result.scores.float(), grid, backbone.patch_size))
    importance = 0.4 * original + 0.6 * heat
    columns = [original, importance, masked, completed.clamp(0, 1)]
    tiles = [F.pad(column, (0, 4, 0, 4), value=1.0) for column in columns]
    sheet = torch.cat(tiles, dim=3)  # (B, 3, H + 4, 4 * (W + 4))
    sheet = sheet.permute(0, 2, 3, 1).flatten(0, 1)
    return (sheet * 255).round().byte().numpy()


def _to_pixels(values: Tensor, grid: tuple[int, int], patch_size: int) -> Tensor:
    """Spread one value a patch (B, N) over its pixels: (B, 1, H, W)."""
    values = values.cpu().reshape(-1, 1, *grid)
    return values.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)


def _heat(values: Tensor) -> Tensor:
    """Colour maps (B, 1, H, W), each over its own range, as (B, 3, H, W) in [0, 1]."""
    low, high = (
        f(values, dim=(1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax)
    )
    scaled = ((values - low) / (high - low).clamp(min=1e-12))[:, 0].numpy()
    return torch.from_numpy(colormaps['viridis'](scaled)[..., :3]).permute(0, 3, 1, 2)
