"""Pixel reconstruction loss on masked patches."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ccmim.masking import TokenSplit, take
from ccmim.ranges import Count
from ccmim.registry import MODELS
from ccmim.teachers import normalize_patches, patchify

ERRORS = {'square': F.mse_loss, 'absolute': F.l1_loss}


@MODELS.register_module()
class PixelReconstruction(nn.Module):
    """Mean error of masked patches, by default squared and in normalized pixels.

    The defaults are the loss of MAE and ccMIM; ``norm_pix=False, error='absolute'`` is
    that of SimMIM. Visible patches are ignored.

    Args:
        patch_size: Side P of a patch in pixels.
        norm_pix: Whether target patches are normalized to zero mean, unit variance.
        error: 'square' or 'absolute' differences.
    """

    def __init__(
        self,
        patch_size: Count = 16,
        norm_pix: bool = True,
        error: Literal['square', 'absolute'] = 'square',
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.norm_pix = norm_pix
        self.error = ERRORS[error]

    def forward(self, pred: Tensor, images: Tensor, split: TokenSplit) -> Tensor:
        """Compute the error.

        Args:
            pred: Predicted patches in the order of ``ids_masked``, of shape
                (B, M, 3 * P * P).
            images: Normalized images of shape (B, 3, H, W).
            split: Which patches were masked.

        Returns:
            Scalar, at least float32.
        """
        return self._errors(pred, images, split, 'mean')

    def of_each(self, pred: Tensor, images: Tensor, split: TokenSplit) -> Tensor:
        """Compute the error of each masked patch (B, M), whose mean is the loss."""
        return self._errors(pred, images, split, 'none').mean(dim=2)

    def in_pixels(
        self, pred: Tensor, images: Tensor, split: TokenSplit
    ) -> dict[str, Any]:
        """Convert predictions to the units of the images, for display.

        Where normalized pixels are predicted, each patch gets the mean and variance of
        the true one back, as the pictures of MAE do.

        Args:
            pred: As for the error, of shape (B, M, 3 * P * P).
            images: Normalized images of shape (B, 3, H, W).
            split: Which patches were masked.

        Returns:
            ``pred``, ``target``, ``space`` and ``note`` of a method's ``Prediction``.
        """
        target, note = patchify(images, self.patch_size), ''
        pred = pred.to(target.dtype)
        if self.norm_pix:
            true = take(target, split.ids_masked)
            scale = (true.var(dim=-1, keepdim=True) + 1e-6).sqrt()
            pred = pred * scale + true.mean(dim=-1, keepdim=True)
            note = 'Predicted patches have the brightness and contrast of the true.'
        return dict(pred=pred, target=target, space='pixels', note=note)

    def _errors(
        self, pred: Tensor, images: Tensor, split: TokenSplit, reduction: str
    ) -> Tensor:
        target = take(patchify(images, self.patch_size), split.ids_masked)
        if self.norm_pix:
            target = normalize_patches(target)
        # Fused: the difference and its square are not kept.
        return self.error(pred.to(target.dtype), target, reduction=reduction)


@MODELS.register_module()
class HardnessRanking(nn.Module):
    """Rank each pair of an image's masked patches by reconstruction error.

    HPM (https://arxiv.org/abs/2304.05919): with predictions h, the mean over all pairs
    of -log sigmoid(h_harder - h_easier). Pairs of equal errors do not count.
    """

    def forward(self, hardness: Tensor, errors: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            hardness: Predictions of any range, of shape (B, M).
            errors: Of the reconstruction, of shape (B, M); constants.

        Returns:
            Scalar, at least float32; log 2 when all predictions are alike.
        """
        hardness = hardness.to(torch.promote_types(hardness.dtype, torch.float32))
        margins = hardness[:, :, None] - hardness[:, None, :]  # (B, M, M)
        harder = errors[:, :, None] > errors[:, None, :]
        total = (F.softplus(-margins) * harder).sum()
        return total / harder.sum().clamp(min=1)
