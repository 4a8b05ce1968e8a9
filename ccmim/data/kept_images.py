"""Images kept in memory as one tensor, augmented a batch at a time.

B batch, S side.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Len
from torch import Tensor

from ccmim.data.randomness import SampleKey, generator_of
from ccmim.data.transforms import check_order, height_width
from ccmim.data.unlabeled import UnlabeledImages
from ccmim.ranges import PositiveRatio, Ratio, Sides
from ccmim.registry import DATASETS

_RATIO = np.log(4 / 3)  # width / height of a part, at most, and its inverse


@DATASETS.register_module()
class KeptImages(UnlabeledImages):
    """Unlabeled images in memory, cropped and mirrored as one tensor a batch.

    For sets that fit into memory and networks so small that decoding and cropping
    image by image would take as long as their steps. Each image is decoded once, at
    its first use, resized and cropped in the centre to ``size``. What is drawn for a
    sample is a function of its key alone, as in ``UnlabeledImages``; parts are
    resized bilinearly.

    Args:
        data: What ``open_source`` takes: folder, list file, tar shards, glob, list.
        size: Side of the images, or (height, width). None in a config is the size of
            the backbone, which is filled in where the config is read.
        scale: Smallest and largest share of an image's area that is cut out.
        flip_prob: How often it is mirrored, from 0 to 1.
        kwargs: More arguments of ``UnlabeledImages``, but for ``transform``.
    """

    def __init__(
        self,
        data: str | Sequence[str],
        size: Sides | None,
        scale: Annotated[Sequence[PositiveRatio], Len(2, 2)] = (0.2, 1.0),
        flip_prob: Ratio = 0.5,
        **kwargs: Any,
    ) -> None:
        check_order(scale, 'scale')
        whole = dict(type='ccmim.ResizeCenterCrop', size=height_width(size))
        steps = [dict(whole, crop_ratio=1.0), dict(type='ccmim.ToUint8Tensor')]
        super().__init__(data, steps, **kwargs)
        self._scale, self._flip_prob = tuple(scale), flip_prob
        self._kept: dict[int, Tensor] = {}

    def __getitem__(self, key: SampleKey | int) -> dict:
        """Load one sample; see ``UnlabeledImages``."""
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[SampleKey | int]) -> list[dict]:
        """Load the samples of a batch."""
        full = [
            SampleKey(*key) if isinstance(key, tuple) else SampleKey(0, 0, int(key))
            for key in keys
        ]
        kept = [self._keep(key) for key in full]
        drawn = np.stack([generator_of(key).random(5) for key in full])
        images = torch.stack([image for _, image in kept])
        parts = _cut(images, torch.from_numpy(drawn), self._scale, self._flip_prob)
        return [
            dict(inputs=part, data_samples=index)
            for part, (index, _) in zip(parts, kept, strict=True)
        ]

    def _keep(self, key: SampleKey) -> tuple[int, Tensor]:
        index = key.index
        if index not in self._kept:
            index, image = self._load(key)  # another one, where this is damaged
            for transform in self._transforms:
                image = transform(image)
            self._kept[index] = image
        return index, self._kept[index]


def _cut(
    images: Tensor, drawn: Tensor, scale: tuple[float, float], flip_prob: float
) -> Tensor:
    """Cut a part out of each of uint8 images (B, 3, S, S): as many, of the same size.

    Args:
        images: The images.
        drawn: Numbers from 0 to 1, (B, 5): area, shape, place (2) and side.
        scale: Smallest and largest share of the area.
        flip_prob: How often the part is mirrored.
    """
    area = scale[0] + (scale[1] - scale[0]) * drawn[:, 0]
    shape = torch.exp(_RATIO * (2 * drawn[:, 1] - 1))
    width, height = ((area * s).sqrt().clamp(max=1) for s in (shape, 1 / shape))
    at = 2 * drawn[:, 2:4] - 1
    side = torch.where(drawn[:, 4] < flip_prob, -1.0, 1.0)
    move = torch.zeros(len(images), 2, 3, dtype=drawn.dtype)
    move[:, 0, 0], move[:, 1, 1] = width * side, height
    move[:, 0, 2], move[:, 1, 2] = (
        at[:, 0] * (1 - width),
        at[:, 1] * (1 - height),
    )
    grid = F.affine_grid(move.float(), list(images.shape), align_corners=False)
    parts = F.grid_sample(
        images.float(), grid, padding_mode='border', align_corners=False
    )
    return parts.round_().to(torch.uint8)
