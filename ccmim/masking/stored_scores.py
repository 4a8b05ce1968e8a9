"""Scores computed every few epochs for whole images, and cropped with them.

B batch, I pictures of the training set, N patches.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ccmim.ranges import Count, Part, Sides
from ccmim.registry import MODELS
from ccmim.vit.archs import resolve_grid


@MODELS.register_module()
class StoredScorer(nn.Module):
    """Score patches by maps of the whole pictures, cut out as the images were.

    AMT scores its training set every 40 epochs (https://arxiv.org/abs/2211.15362); any
    scorer can be spared its work at each step in this way. A picture costs one byte a
    patch and four for their scale: 256 MB for ImageNet-1K at 14 x 14 patches, on the
    device and in each checkpoint, so that a resumed run has the same maps.

    ``ccmim.ScoreRefreshHook`` fills it and gives it the crop boxes of each step, which
    come from ``ccmim.ImagesWithCropBox``. Until it is filled all patches score alike.
    In evaluation mode it scores the images as they are.

    Args:
        scorer: Config of the scorer of whole pictures.
        img_size: Side or (height, width) to which whole pictures are brought.
        patch_size: Side of a patch in pixels.
    """

    maps: Tensor  # uint8, of shape (I, N); 255 is the highest score of a picture
    scales: Tensor  # the highest score of each picture, of shape (I,); 0 if unknown

    def __init__(
        self,
        scorer: Part,
        img_size: Sides = 224,
        patch_size: Count = 16,
    ) -> None:
        super().__init__()
        self.scorer = MODELS.build(scorer)
        self.grid = resolve_grid(img_size, patch_size)
        self.img_size = tuple(side * patch_size for side in self.grid)
        num_patches = math.prod(self.grid)
        self.register_buffer('maps', torch.zeros(0, num_patches, dtype=torch.uint8))
        self.register_buffer('scales', torch.zeros(0))
        self.filled = False  # whether any scores are known
        self._shown: tuple[Tensor, Tensor] | None = None
        self.register_load_state_dict_pre_hook(_expect)

    def hold(self, num_pictures: int) -> None:
        """Make room for so many pictures; forget all unless it is for just as many."""
        if len(self.maps) != num_pictures:
            self.maps = self.maps.new_zeros(num_pictures, self.maps.shape[1])
            self.scales = self.scales.new_zeros(num_pictures)
            self.filled = False

    def measure(self, backbone: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Score whole pictures: rows for ``maps`` (B, N) and ``scales`` (B,)."""
        scores = self.scorer(backbone, images)
        scales = scores.amax(dim=1).clamp(min=torch.finfo(scores.dtype).tiny)
        return (scores / scales[:, None] * 255).round().to(torch.uint8), scales

    def store(self, maps: Tensor, scales: Tensor) -> None:
        """Store maps (I, N) and scales (I,), except where the scale is 0."""
        scored = scales > 0
        self.maps.copy_(torch.where(scored[:, None], maps, self.maps))
        self.scales.copy_(torch.where(scored, scales, self.scales))
        self.filled = True

    def show(self, index: Tensor, boxes: Tensor) -> None:
        """Set which images the next call scores.

        Args:
            index: The number of each image's picture, of shape (B,).
            boxes: Of each image in its picture, as ``crop_maps`` takes them, (B, 4).
        """
        device = self.maps.device
        self._shown = tuple(x.to(device, non_blocking=True) for x in (index, boxes))

    def forward(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Score the patches of normalized images (B, 3, H, W): (B, N), at least 0.

        Raises:
            RuntimeError: If in training ``show`` was not called before.
        """
        shown, self._shown = self._shown, None
        if shown is None and not self.training:
            return self.scorer(backbone, images)
        if shown is None:
            raise RuntimeError(
                'StoredScorer does not know which images it is given: add '
                "dict(type='ccmim.ScoreRefreshHook') to custom_hooks"
            )
        index, boxes = shown
        grid = backbone.grid_of(images)
        if not self.filled:
            return self.scales.new_ones(len(index), math.prod(grid))
        maps = self.maps[index] * (self.scales[index] / 255)[:, None]
        with torch.autocast(images.device.type, enabled=False):
            return crop_maps(maps.unflatten(1, self.grid), boxes, grid)


def stored_scorer(model: nn.Module) -> StoredScorer | None:
    """Find the ``StoredScorer`` among the parts of a model, whatever its name."""
    parts = (part for part in model.modules() if isinstance(part, StoredScorer))
    return next(parts, None)


def _expect(module: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    # How many pictures there are is known from the data, or from a checkpoint.
    if prefix + 'scales' in state:
        module.hold(len(state[prefix + 'scales']))
        module.filled = bool(state[prefix + 'scales'].any())


def crop_maps(maps: Tensor, boxes: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average maps over the area that each patch of a crop covers.

    A map is constant within its cells. What a patch covers is a rectangle, so the area
    that it shares with a cell is a product of two lengths, and the mean over it two
    small matrix products.

    Args:
        maps: Of whole pictures, of shape (B, rows, columns).
        boxes: (top, bottom, left, right) of each crop in fractions of its picture's
            height and width, of shape (B, 4). Left beyond right says that the crop was
            mirrored.
        grid: Rows and columns of the patches of the crop.

    Returns:
        Scores of shape (B, N), row by row.
    """
    top, bottom, left, right = boxes.to(maps.dtype).unbind(dim=1)
    rows = _overlap(top, bottom, grid[0], maps.shape[1])  # (B, grid rows, map rows)
    columns = _overlap(left, right, grid[1], maps.shape[2])
    return (rows @ maps @ columns.transpose(1, 2)).flatten(1)


def _overlap(start: Tensor, stop: Tensor, parts: int, cells: int) -> Tensor:
    # Which fraction of each part of start..stop lies in each cell: (B, parts, cells).
    ticks = torch.arange(parts + 1, device=start.device) / parts
    edges = start[:, None] + (stop - start)[:, None] * ticks  # (B, parts + 1)
    ends = torch.stack([edges[:, :-1], edges[:, 1:]]).sort(dim=0).values[..., None]
    cell = torch.arange(cells, device=start.device, dtype=start.dtype)
    shared = ends[1].minimum((cell + 1) / cells) - ends[0].maximum(cell / cells)
    return shared.clamp(min=0) / (ends[1] - ends[0])
