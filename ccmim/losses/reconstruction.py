"""Error of the predicted pixels of the masked patches."""

from torch import Tensor, nn

from ccmim.masking import TokenSplit, take
from ccmim.registry import MODELS
from ccmim.targets import normalise_patches, patchify


@MODELS.register_module()
class PixelReconstruction(nn.Module):
    """Mean squared error on masked patches, in normalised pixels.

    Equal to the loss of MAE and ccMIM: visible patches do not count.

    Args:
        patch_size: Side P of a patch in pixels.
        norm_pix: Whether each target patch is brought to zero mean and unit variance.
    """

    def __init__(self, patch_size: int = 16, norm_pix: bool = True) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.norm_pix = norm_pix

    def forward(self, pred: Tensor, images: Tensor, split: TokenSplit) -> Tensor:
        """Compute the error.

        Args:
            pred: Predicted patches in the order of ``ids_masked``, of shape
                (B, M, 3 * P * P).
            images: Normalised images of shape (B, 3, H, W).
            split: Who was masked.

        Returns:
            Scalar, at least float32.
        """
        target = take(patchify(images, self.patch_size), split.ids_masked)
        if self.norm_pix:
            target = normalise_patches(target)
        return (pred.to(target.dtype) - target).square().mean()
