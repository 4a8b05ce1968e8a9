"""How well the extents that LIO learns fit the masks of real objects.

n objects, N patches.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pycocotools.coco import COCO
from torch import Tensor, nn

from studies.small import data, photos

# COCO's categories that are classes of CIFAR-10 too.
_CLASSES = ('airplane', 'car', 'bird', 'cat', 'dog', 'horse', 'boat', 'truck')
_SMALLEST, _ROOM, _SIDE = 24, 1.5, 32


def fine_tuned(model: nn.Module) -> dict[str, float]:
    """Measure top-1 on a fifth of CIFAR-10's test images; and ``extent AUC``."""
    images, labels = photos('test', 0.2)
    predicted = [_scores(model, part).argmax(dim=1) for part in images.split(500)]
    right = (torch.cat(predicted) == labels).double().mean().item()
    values = {'top-1': 100 * right}
    if getattr(model.extra, 'extent', None) is not None:
        values['extent AUC'] = 100 * extent_auc(model)
    return values


@torch.no_grad()
def extent_auc(model: nn.Module) -> float:
    """Compute how often a patch of an object has a greater extent than one beside it.

    Of all pairs of patches of an image, averaged over the objects of COCO-mini; 0.5
    where extents know nothing of masks.
    """
    images, inside = objects(model.backbone.grid)
    inputs = model.data_preprocessor(dict(inputs=list(images)), False)['inputs']
    patches = model.backbone.encode(model.backbone.embed(inputs))[:, 1:]
    extents, _, _ = model.extra.extent(patches, torch.arange(len(images)))
    return area_under_curve(extents, inside)


def area_under_curve(scores: Tensor, inside: Tensor) -> float:
    """Average over images how often a patch inside scores above one outside.

    Args:
        scores: Of shape (n, N).
        inside: Of the same shape, with both kinds in each row.
    """
    areas = []
    for row, own in zip(scores, inside, strict=True):
        gap = row[own][:, None] - row[~own]
        areas.append(((gap > 0) + 0.5 * (gap == 0)).double().mean())
    return torch.stack(areas).mean().item()


def objects(grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Cut objects out of COCO-mini, each somewhere in a square half as large again.

    Returns:
        Images uint8 (n, 3, 32, 32), and which patches are more than half object (n, N).
    """
    rng, images, masks = np.random.default_rng(0), [], []
    for photo, mask, box in _annotated():
        left, top, width, height = box
        side = min(_ROOM * max(width, height), *photo.size)
        corner = []
        for start, length, limit in (
            (left, width, photo.width),
            (top, height, photo.height),
        ):
            low = max(0.0, min(start + length - side, limit - side))
            high = min(max(start, low), limit - side)
            corner.append(rng.uniform(low, max(low, high)))
        square = (*corner, *(c + side for c in corner))
        image = photo.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC, square)
        part = Image.fromarray(mask * 255).resize(
            (8 * grid[1], 8 * grid[0]), Image.Resampling.BOX, square
        )
        coverage = torch.from_numpy(np.array(part))[None].float() / 255
        inside = F.avg_pool2d(coverage, 8).flatten() > 0.5
        if inside.any() and not inside.all():
            images.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            masks.append(inside)
    return torch.stack(images), torch.stack(masks)


def _annotated() -> Iterator[tuple[Image.Image, np.ndarray, list[float]]]:
    for split in ('train', 'val'):
        coco = COCO()
        file = data(f'coco_mini/annotations/instances_{split}2017.json')
        coco.dataset = json.loads(file.read_text())
        coco.createIndex()
        ids = coco.getCatIds(catNms=list(_CLASSES))
        for one in coco.loadAnns(coco.getAnnIds(catIds=ids, iscrowd=False)):
            if min(one['bbox'][2:]) < _SMALLEST:
                continue
            name = coco.imgs[one['image_id']]['file_name']
            photo = Image.open(data(f'coco_mini/{split}2017') / name).convert('RGB')
            yield photo, coco.annToMask(one), one['bbox']


@torch.no_grad()
def _scores(model: Any, images: Tensor) -> Tensor:
    batch = dict(inputs=list(images))
    return model(model.data_preprocessor(batch, False)['inputs'])
