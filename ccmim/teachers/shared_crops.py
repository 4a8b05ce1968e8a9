"""Crops of a batch of images that share a part, cut on the device.

B batch, H W image.
"""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from annotated_types import Len
from torch import Tensor, nn
from torchvision.ops import roi_align

from ccmim.ranges import Count, Index, InnerRatio, Positive, PositiveRatio, Sides
from ccmim.registry import MODELS

Limits = Annotated[Sequence[PositiveRatio], Len(2, 2)]


class Crop(NamedTuple):
    """A crop of each image of a batch.

    Attributes:
        images: Of shape (B, 3, h, w).
        boxes: Left, top, right and bottom as fractions of the image, (B, 4).
    """

    images: Tensor
    boxes: Tensor


@MODELS.register_module()
class SharedCrops(nn.Module):
    """Cut two large crops and some small ones out of each image.

    Sides are drawn as by ``RandomResizedCrop``; places so that each crop shares a part
    with both large ones, of a height and of a width that are at least a fraction of the
    image's. NeCo draws places anew until the shared area is large enough, which can
    take any time.

    Args:
        img_size: Sides of the large crops; those of the images.
        patch_size: Side of a patch, of which all crops have whole numbers.
        num_local: How many small crops.
        local_ratio: Their sides as a fraction of the large ones', rounded to patches.
        scale: Smallest and largest area of the large crops, as fractions.
        local_scale: Likewise of the small ones.
        ratio: Smallest and largest width / height.
        least_shared: Least shared area with a large crop, as a fraction of the image;
            of the two large ones twice that.

    Raises:
        ValueError: If crops can be too small to share that much.
    """

    def __init__(
        self,
        img_size: Sides,
        patch_size: Count = 16,
        num_local: Index = 0,
        local_ratio: PositiveRatio = 98 / 518,
        scale: Limits = (0.25, 1.0),
        local_scale: Limits = (0.05, 0.25),
        ratio: Annotated[Sequence[Positive], Len(2, 2)] = (3 / 4, 4 / 3),
        least_shared: InnerRatio = 0.01,
    ) -> None:
        super().__init__()
        for name, limits in dict(
            scale=scale, local_scale=local_scale, ratio=ratio
        ).items():
            if limits[0] > limits[1]:
                raise ValueError(
                    f'{name}={limits} must be the least value and the greatest'
                )
        smallest = [scale, *[local_scale] * min(num_local, 1)]
        narrow = min(ratio[0], 1 / ratio[1])
        for limits, times in zip(smallest, (2, 1), strict=False):
            if least_shared * times > limits[0] * narrow:
                raise ValueError(
                    f'least_shared={least_shared} is more than the smallest crops can '
                    f'share, with an area of {limits[0]} of the image'
                )
        large = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        small = tuple(
            max(1, round(s * local_ratio / patch_size)) * patch_size for s in large
        )
        self.sizes = [large] * 2 + [small] * num_local
        self.scales = [scale] * 2 + [local_scale] * num_local
        self.ratio = ratio
        self.least_shared = least_shared

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Crop]:
        """Cut normalized images (B, 3, H, W); the two large crops come first."""
        large: list[Tensor] = []
        crops = []
        for number, (size, scale) in enumerate(
            zip(self.sizes, self.scales, strict=True)
        ):
            boxes = self._draw(images, scale, large)
            large += [boxes] if number < 2 else []
            crops.append(Crop(cut(images, boxes, size), boxes))
        return crops

    def _draw(
        self, images: Tensor, scale: Sequence[float], others: list[Tensor]
    ) -> Tensor:
        """Draw a box of each image that shares a part with each of the others."""
        area, shape, *offsets = torch.rand((4, len(images)), device=images.device)
        area = scale[0] + area * (scale[1] - scale[0])
        low, high = (math.log(r) for r in self.ratio)
        shape = (low + shape * (high - low)).exp()
        wide = images.shape[-2] / images.shape[-1]
        sides = torch.stack([(area * shape * wide), (area / shape / wide)]).sqrt()
        sides = sides.clamp(max=1)  # width, height
        side = (self.least_shared * (1 if len(others) == 2 else 2)) ** 0.5
        starts = []
        for axis in range(2):
            first, last = torch.zeros_like(area), 1 - sides[axis]
            for other in others:
                first = first.maximum(other[:, axis] + side - sides[axis])
                last = last.minimum(other[:, axis + 2] - side)
            starts.append(torch.lerp(first, last.maximum(first), offsets[axis]))
        starts = torch.stack(starts)
        return torch.cat([starts, starts + sides]).T


def cut(maps: Tensor, boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Cut a part out of each map and resample it, averaging what gets smaller.

    Args:
        maps: Of shape (B, C, H, W).
        boxes: Left, top, right and bottom of each part as fractions, (B, 4).
        size: Rows and columns of the result.

    Returns:
        Of shape (B, C, *size).
    """
    height, width = maps.shape[-2:]
    corners = boxes * boxes.new_tensor([width, height, width, height])
    numbers = torch.arange(len(maps), device=maps.device)[:, None].to(corners)
    rois = torch.cat([numbers, corners], dim=1).to(maps.dtype)
    return roi_align(maps, rois, tuple(size), aligned=True)


def shared_part(own: Tensor, other: Tensor) -> Tensor:
    """Find where two crops of an image overlap, as fractions of the first one.

    Args:
        own: Boxes (B, 4) in the image.
        other: Boxes (B, 4) in the image.

    Returns:
        Boxes (B, 4) in the first crop.
    """
    start = own[:, :2].maximum(other[:, :2])
    end = own[:, 2:].minimum(other[:, 2:])
    sides = own[:, 2:] - own[:, :2]
    return torch.cat([(start - own[:, :2]) / sides, (end - own[:, :2]) / sides], dim=1)
