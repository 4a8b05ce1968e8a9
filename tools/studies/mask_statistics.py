"""How much of what samplers mask lies on objects.

B images, N patches, H W pixels.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ccmim.data import ToUint8Tensor
from ccmim.evaluation import mask_overlap
from ccmim.masking import TokenSplit, TopKSampler, importance_gap


def photos_and_objects(
    photos: Path, annotations: Path, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Read photos and where there is any object, squashed to one size.

    Args:
        photos: Folder of the photos.
        annotations: Of COCO's kind; crowds count too.
        size: Height and width.

    Returns:
        Photos, uint8 (B, 3, H, W), and objects, bool (B, H, W). Photos without an
        object are left out.
    """
    from pycocotools.coco import COCO  # which pretraining does not need

    coco = COCO(str(annotations))
    images, objects = [], []
    for i in sorted(coco.getImgIds()):
        marks = [coco.annToMask(a) for a in coco.loadAnns(coco.getAnnIds(i))]
        if not marks:
            continue
        with Image.open(photos / coco.loadImgs(i)[0]['file_name']) as photo:
            squashed = photo.convert('RGB').resize(size[::-1], Image.BICUBIC)
        images.append(ToUint8Tensor()(squashed))
        union = torch.from_numpy(np.maximum.reduce(marks))[None, None].float()
        objects.append(F.interpolate(union, size, mode='area')[0, 0] >= 0.5)
    return torch.stack(images), torch.stack(objects)


class MaskStatistics(NamedTuple):
    """What masks cover, beside what random ones do: 0 for these.

    Attributes:
        overlap: See ``mask_overlap``.
        gap: See ``importance_gap``.
    """

    overlap: float
    gap: float


@torch.no_grad()
def mask_statistics(
    drawn: Iterator[tuple[Tensor, TokenSplit]],
    objects: Tensor,
    patch_size: int,
    draws: int = 200,
) -> MaskStatistics:
    """Compute how much more than by chance a sampler masks of objects and importance.

    Args:
        drawn: Scores of the patches (B, N), with a positive mean, and a mask drawn from
            them, again and again.
        objects: Bool, of shape (B, H, W).
        patch_size: Side of a patch in pixels.
        draws: Masks that are drawn for each image, from a seed of their own.

    Returns:
        The means over the draws.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        made = list(islice(drawn, draws))
    overlaps = [mask_overlap(split.mask, objects, patch_size) for _, split in made]
    gaps = [importance_gap(scores, split) for scores, split in made]
    return MaskStatistics(*(torch.stack(x).mean().item() for x in (overlaps, gaps)))


def most_overlap(objects: Tensor, patch_size: int, mask_ratio: float) -> float:
    """Compute the ``mask_overlap`` of masks that know the objects (B, H, W)."""
    coverage = F.avg_pool2d(objects.float()[:, None], patch_size).flatten(1)
    mask = TopKSampler()(coverage, mask_ratio).mask
    return mask_overlap(mask, objects, patch_size).item()
