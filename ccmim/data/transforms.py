"""Image transforms for pretraining, on PIL images.

In the order crop, flip, ``ToUint8Tensor`` they are MAE's augmentation. Nothing here
computes in floating point on the CPU: bytes go to the device and are normalized there.
All randomness comes from torch's default generator, which the data set seeds.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from annotated_types import Len
from PIL import Image
from torch import Tensor

from ccmim.ranges import Parts, Positive, PositiveRatio, Ratio, Sides
from ccmim.registry import TRANSFORMS

Interpolation = Literal['nearest', 'bilinear', 'bicubic', 'lanczos']


@TRANSFORMS.register_module()
class RandomResizedCrop:
    """Cut out a random part and resize it.

    Args:
        size: Side of the result, or (height, width). None in a config is the size of
            the backbone, which is filled in where the config is read.
        scale: Smallest and largest fraction of the picture's area; (1, 1) draws nothing
            and takes the picture, or the center of one that ``ratio`` excludes.
        ratio: Smallest and largest width / height of the part.
        interpolation: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.
        one_draw: Whether the part is drawn once and cut where it goes beyond the
            picture, as in MAE's linear probe, instead of up to ten times until it fits.
            Of pictures of 500 x 375 at ``scale=(0.08, 1)`` it then takes 0.52 of the
            area on average instead of 0.44.
    """

    def __init__(
        self,
        size: Sides | None,
        scale: Annotated[Sequence[PositiveRatio], Len(2, 2)] = (0.2, 1.0),
        ratio: Annotated[Sequence[Positive], Len(2, 2)] = (3 / 4, 4 / 3),
        interpolation: Interpolation = 'bicubic',
        one_draw: bool = False,
    ) -> None:
        check_order(scale, 'scale')
        check_order(ratio, 'ratio')
        kind = _OneDraw if one_draw else T.RandomResizedCrop
        kind = _Whole if tuple(scale) == (1, 1) else kind
        self._crop = kind(
            height_width(size), scale, ratio, T.InterpolationMode(interpolation)
        )

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return a picture of the set size."""
        return self._crop(image)


class _OneDraw(T.RandomResizedCrop):
    """Area and shape drawn once; sides that are too long are cut to the picture's."""

    @staticmethod
    def get_params(
        img: Image.Image, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Draw top, left, height and width."""
        width, height = img.size
        limits = torch.tensor([list(scale), [math.log(r) for r in ratio]])
        area_ratio, shape = (
            limits[:, 0] + torch.rand(2) * limits.diff(dim=1)[:, 0]
        ).tolist()
        area, aspect = area_ratio * width * height, math.exp(shape)
        part = (
            _within(height, math.sqrt(area / aspect)),
            _within(width, math.sqrt(area * aspect)),
        )
        top, left = (
            int(torch.randint(whole - side + 1, (1,)))
            for whole, side in zip((height, width), part, strict=True)
        )
        return top, left, *part


class _Whole(T.RandomResizedCrop):
    """No draw: all of a picture but for what makes its shape too extreme."""

    @staticmethod
    def get_params(
        img: Image.Image, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Place top, left, height and width."""
        width, height = img.size
        part = _within(height, width / ratio[0]), _within(width, height * ratio[1])
        return (height - part[0]) // 2, (width - part[1]) // 2, *part


def _within(whole: int, side: float) -> int:
    """A side in pixels: at least one, and no more than the picture has."""
    return min(whole, max(1, round(side)))


@TRANSFORMS.register_module()
class RandomHorizontalFlip:
    """Mirror left and right, sometimes.

    Args:
        prob: How often, from 0 to 1.
    """

    def __init__(self, prob: Ratio = 0.5) -> None:
        self._flip = T.RandomHorizontalFlip(prob)

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the picture or its mirror image."""
        return self._flip(image)


@TRANSFORMS.register_module()
class Resize:
    """Resize (bicubic), so that all of a picture stays.

    Args:
        size: Side of the result, or (height, width). None in a config is the size of
            the backbone, which is filled in where the config is read.
        keep_ratio: Whether to keep the shape: then it is the smallest picture that
            covers ``size``.
    """

    def __init__(self, size: Sides | None, keep_ratio: bool = False) -> None:
        self._size = height_width(size)
        self._keep_ratio = keep_ratio

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return a picture of the set size."""
        sides = _covering(image, self._size) if self._keep_ratio else list(self._size)
        return F.resize(image, sides, T.InterpolationMode.BICUBIC)


@TRANSFORMS.register_module()
class ResizeCenterCrop:
    """Resize (bicubic) and cut out the center, for evaluation.

    Args:
        size: Side of the result, or (height, width). None in a config is the size of
            the backbone, which is filled in where the config is read.
        crop_ratio: Fraction of the tighter side that is kept; 224 of 256 by custom.
    """

    def __init__(
        self, size: Sides | None, crop_ratio: PositiveRatio = 224 / 256
    ) -> None:
        self._size = height_width(size)
        self._crop_ratio = crop_ratio

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return a picture of the set size."""
        sides = _covering(image, self._size, self._crop_ratio)
        resized = F.resize(image, sides, T.InterpolationMode.BICUBIC)
        return F.center_crop(resized, list(self._size))


@TRANSFORMS.register_module()
class ToUint8Tensor:
    """Turn an RGB picture into the tensor that goes to the device."""

    def __call__(self, image: Image.Image) -> Tensor:
        """Return uint8 (3, H, W), values 0..255, RGB."""
        # numpy turns it: torch would start threads for so small a copy.
        channels = np.asarray(image).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(channels))


def _covering(
    image: Image.Image, size: tuple[int, int], crop_ratio: float = 1.0
) -> list[int]:
    """Height and width of a picture whose tighter side is a crop's by its fraction."""
    height, width = size
    zoom = max(height / image.height, width / image.width) / crop_ratio
    # Rounding must not make it smaller than the crop: that would pad with black.
    return [
        max(height, math.floor(image.height * zoom + 1e-6)),
        max(width, math.floor(image.width * zoom + 1e-6)),
    ]


def check_order(limits: Sequence[float], name: str) -> None:
    """Refuse a least value that is above the greatest.

    Raises:
        ValueError: If it is.
    """
    if limits[0] > limits[1]:
        raise ValueError(f'{name}={limits} must be the least value and the greatest')


def height_width(size: Sides | None) -> tuple[int, int]:
    """Spell out a size.

    Raises:
        ValueError: If it is None: the config was not read by ``read_config``.
    """
    if size is None:
        raise ValueError(
            'size=None stands for model.backbone.img_size, which '
            'ccmim.engine.config.read_config fills in: set size to it'
        )
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


@TRANSFORMS.register_module()
class TwoViews:
    """Transform a picture twice, by draws of their own.

    Colors are changed on the device (``ColorPerturbation``), for all at once.

    Args:
        transform: One config or a list of configs of transforms, applied in order; the
            last must return a tensor (``ccmim.ToUint8Tensor``).
    """

    def __init__(self, transform: Parts) -> None:
        transforms = [transform] if isinstance(transform, dict) else transform
        self._transforms = [TRANSFORMS.build(config) for config in transforms]

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the views one above the other, uint8 (3, 2H, W)."""
        return torch.cat([self._view(image) for _ in range(2)], dim=1)

    def _view(self, image: Image.Image) -> Tensor:
        for transform in self._transforms:
            image = transform(image)
        return image
