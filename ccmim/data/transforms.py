"""The few image operations that pretraining needs: PIL in, torchvision underneath.

In the order crop, flip, ``ToUint8Tensor`` they are MAE's augmentation. Nothing here
computes in floating point on the CPU: bytes go to the device and are normalised there.
All randomness comes from torch's default generator, which the data set seeds.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from PIL import Image
from torch import Tensor

from ccmim.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomResizedCrop:
    """Cut out a random part and resize it.

    Args:
        size: Side of the result, or (height, width).
        scale: Smallest and largest share of the picture's area.
        ratio: Smallest and largest width / height of the part.
        interpolation: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.2, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: str = 'bicubic',
    ) -> None:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f'scale must be 0 < min <= max <= 1, got {scale}')
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f'ratio must be 0 < min <= max, got {ratio}')
        self._crop = T.RandomResizedCrop(
            _height_width(size), scale, ratio, T.InterpolationMode(interpolation)
        )

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return a picture of the set size."""
        return self._crop(image)


@TRANSFORMS.register_module()
class RandomHorizontalFlip:
    """Mirror left and right, sometimes.

    Args:
        prob: How often, from 0 to 1.
    """

    def __init__(self, prob: float = 0.5) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], got {prob}')
        self._flip = T.RandomHorizontalFlip(prob)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the picture or its mirror image."""
        return self._flip(image)


@TRANSFORMS.register_module()
class ResizeCenterCrop:
    """Resize (bicubic) and cut out the centre, for evaluation.

    Args:
        size: Side of the result, or (height, width).
        crop_share: Share of the tighter side that is kept; 224 of 256 by custom.
    """

    def __init__(
        self, size: int | Sequence[int], crop_share: float = 224 / 256
    ) -> None:
        if not 0 < crop_share <= 1:
            raise ValueError(f'crop_share must lie in (0, 1], got {crop_share}')
        self._size = _height_width(size)
        self._crop_share = crop_share

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return a picture of the set size."""
        height, width = self._size
        zoom = max(height / image.height, width / image.width) / self._crop_share
        # Rounding must not make it smaller than the crop: that would pad with black.
        target = [
            max(height, math.floor(image.height * zoom + 1e-6)),
            max(width, math.floor(image.width * zoom + 1e-6)),
        ]
        resized = F.resize(image, target, T.InterpolationMode.BICUBIC)
        return F.center_crop(resized, [height, width])


@TRANSFORMS.register_module()
class ToUint8Tensor:
    """Turn an RGB picture into the tensor that goes to the device."""

    def __call__(self, image: Image.Image) -> Tensor:
        """Return uint8 (3, H, W), values 0..255, RGB."""
        # numpy turns it: torch would start threads for so small a copy.
        channels = np.asarray(image).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(channels))


def _height_width(size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ValueError(f'size must be positive, got {size}')
    return height, width
