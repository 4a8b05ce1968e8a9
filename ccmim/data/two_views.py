"""Two views of each picture, for methods that contrast them."""

import torch
from PIL import Image
from torch import Tensor

from ccmim.ranges import Parts
from ccmim.registry import TRANSFORMS


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
