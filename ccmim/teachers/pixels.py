"""Pixels as reconstruction targets.

B batch, C channels, H W image, N patches, P patch side.
"""

from torch import Tensor


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cut images into flat patches, pixel by pixel with the channels last, as MAE does.

    Args:
        images: Images of shape (B, C, H, W), H and W multiples of ``patch_size``.
        patch_size: Side P in pixels.

    Returns:
        Patches of shape (B, N, P * P * C), row by row.

    Raises:
        ValueError: If a side is no multiple of ``patch_size``.
    """
    batch, channels, height, width = images.shape
    if height % patch_size or width % patch_size:
        raise ValueError(
            f'images of {height} x {width} cannot be cut into patches of side '
            f'{patch_size}: crop them to multiples of it'
        )
    rows, columns = height // patch_size, width // patch_size
    patches = images.reshape(batch, channels, rows, patch_size, columns, patch_size)
    return patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, -1)


def unpatchify(patches: Tensor, patch_size: int, grid: tuple[int, int]) -> Tensor:
    """Join flat patches (B, N, P * P * C) to images (B, C, H, W): undo ``patchify``."""
    rows, columns = grid
    images = patches.reshape(len(patches), rows, columns, patch_size, patch_size, -1)
    images = images.permute(0, 5, 1, 3, 2, 4)
    return images.reshape(len(patches), -1, rows * patch_size, columns * patch_size)


def normalize_patches(patches: Tensor, eps: float = 1e-6) -> Tensor:
    """Give each patch (..., P * P * C) zero mean and unit (unbiased) variance.

    "Normalized pixels" of MAE (https://arxiv.org/abs/2111.06377, section 3).
    """
    centered = patches - patches.mean(dim=-1, keepdim=True)
    # `Tensor.var` takes three times as long on a CPU.
    variance = centered.square().sum(-1, keepdim=True) / (patches.shape[-1] - 1)
    return centered / (variance + eps) ** 0.5
