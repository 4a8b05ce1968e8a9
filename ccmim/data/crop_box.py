"""Images together with the box of their random crop."""

from collections.abc import Sequence
from copy import copy
from typing import Annotated, Any

import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from annotated_types import Len
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ccmim.data.randomness import SampleKey
from ccmim.data.transforms import (
    Interpolation,
    Resize,
    ToUint8Tensor,
    check_order,
    height_width,
)
from ccmim.data.unlabeled import UnlabeledImages
from ccmim.ranges import ArgsOf, Parts, PositiveRatio, Ratio, Sides
from ccmim.registry import DATASETS, TRANSFORMS


@TRANSFORMS.register_module()
class RandomCropWithBox:
    """Cut out a random part, resize it, mirror it sometimes, and return its box too.

    The picture is that of ``RandomResizedCrop``, ``RandomHorizontalFlip`` and
    ``ToUint8Tensor`` after the same draws.

    Args:
        size: Side of the result, or (height, width).
        scale: Smallest and largest fraction of the picture's area.
        flip_prob: How often the part is mirrored, from 0 to 1.
        interpolation: As of ``RandomResizedCrop``.
    """

    def __init__(
        self,
        size: Sides | None,
        scale: Annotated[Sequence[PositiveRatio], Len(2, 2)] = (0.2, 1.0),
        flip_prob: Ratio = 0.5,
        interpolation: Interpolation = 'bicubic',
    ) -> None:
        check_order(scale, 'scale')
        self._crop = T.RandomResizedCrop(
            height_width(size),
            scale,
            interpolation=T.InterpolationMode(interpolation),
        )
        self._flip_prob = flip_prob
        self._to_tensor = ToUint8Tensor()

    def __call__(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        """Return uint8 (3, H, W) and its box (4,), as ``crop_maps`` takes it."""
        crop = self._crop
        top, left, height, width = crop.get_params(image, crop.scale, crop.ratio)
        corner = top, left, height, width
        part = F.resized_crop(image, *corner, crop.size, crop.interpolation)
        ends = [left / image.width, (left + width) / image.width]
        if torch.rand(1) < self._flip_prob:
            part, ends = F.hflip(part), ends[::-1]
        box = [top / image.height, (top + height) / image.height, *ends]
        return self._to_tensor(part), torch.tensor(box)


@DATASETS.register_module()
class ImagesWithCropBox(Dataset):
    """Unlabeled images with the box of each crop in its picture.

    Args:
        transform: Configs of transforms; the last is a ``RandomCropWithBox``.
        kwargs: Other arguments of ``UnlabeledImages``.
    """

    def __init__(
        self, transform: Parts, **kwargs: Annotated[Any, ArgsOf(UnlabeledImages)]
    ) -> None:
        self._images = UnlabeledImages(transform=transform, **kwargs)

    def __len__(self) -> int:
        """Count the images, damaged ones too."""
        return len(self._images)

    @property
    def metainfo(self) -> dict:
        """What mmengine compares on resume, to warn when the data changed."""
        return self._images.metainfo

    def __getitem__(self, key: SampleKey | int) -> dict:
        """Load one sample.

        Args:
            key: Key of the sample; a plain index stands for seed 0, visit 0.

        Returns:
            ``inputs``: uint8 (3, H, W) RGB. ``data_samples``: the number of its
            picture. ``crop_box``: (4,), see ``RandomCropWithBox``; methods do not take
            it, so ``ScoreRefreshHook`` takes it out of the batches.
        """
        sample = self._images[key]
        image, box = sample['inputs']
        return dict(inputs=image, data_samples=sample['data_samples'], crop_box=box)

    def whole(self, size: Sequence[int]) -> UnlabeledImages:
        """Return the same pictures in the same order, uncropped and of one size.

        Args:
            size: Height and width of the images.

        Returns:
            Samples as ``UnlabeledImages`` gives them.
        """
        whole = copy(self._images)  # a folder that has grown would be numbered anew
        whole._transforms = [Resize(size), ToUint8Tensor()]
        return whole
