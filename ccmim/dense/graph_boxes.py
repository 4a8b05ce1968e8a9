"""Boxes and masks of one image in a graph, which cannot ask how many there are.

n boxes, D channels, h w map, H W image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor


def rows_of(maps: Tensor, count: int) -> Tensor:
    """Bring the map (1, A * count, h, w) of an image to rows (h * w * A, count)."""
    return maps[0].permute(1, 2, 0).reshape(-1, count)


def best_of(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Give the largest scores, and where they stand among all."""
    scores = scores.flatten()
    return scores.topk(min(most, len(scores)) if most > 0 else len(scores))


def priors_of(head: Any, maps: Sequence[Tensor]) -> list[Tensor]:
    """Give the anchors or points of each level for its map (1, c, h, w)."""
    sizes = [each.shape[-2:] for each in maps]
    first = maps[0]
    return head.prior_generator.grid_priors(
        sizes, dtype=first.dtype, device=first.device
    )


def are_large(boxes: Tensor, test: Mapping[str, Any]) -> Tensor:
    """Say of boxes (n, 4) whether their sides are longer than ``min_bbox_size``."""
    least = test.get('min_bbox_size', -1)
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides > least).all(1) if least >= 0 else torch.ones_like(sides[:, 0]) > 0


def suppress(
    boxes: Tensor, scores: Tensor, groups: Tensor, nms: Mapping[str, Any]
) -> Tensor:
    """Give the numbers of the boxes that no surer one of their group covers."""
    if not nms.get('class_agnostic', False):
        # As far apart as in mmcv, so that near ties are decided alike.
        far = F.pad(boxes.flatten(), (0, 1)).max() + 1
        boxes = boxes + (groups * far)[:, None]
    return torchvision.ops.nms(boxes, scores, nms['iou_threshold'])


def first_of(kept: Tensor, most: int) -> Tensor:
    """Take the first of an unknown number, which a graph does not slice."""
    positions = torch.arange(kept.shape[0], device=kept.device)
    return kept[(positions < most).nonzero()[:, 0]]


def picked(values: Tensor, labels: Tensor) -> Tensor:
    """Take of values (n, C, ...) those of the class of each row: (n, ...)."""
    return values[torch.arange(labels.shape[0], device=labels.device), labels]


def cut_out(extractor: Any, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """Cut boxes (n, 4) out of the map for their size: (n, D, h, w)."""
    maps = maps[: extractor.num_inputs]
    rois = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)  # of image 0
    shape = (boxes.shape[0], maps[0].shape[1], *extractor.roi_layers[0].output_size)
    levels = extractor.map_roi_levels(rois, len(maps))
    crops = maps[0].new_zeros(shape)
    for level, (layer, values) in enumerate(
        zip(extractor.roi_layers, maps, strict=True)
    ):
        own = (levels == level).nonzero().squeeze(1)
        part = torchvision.ops.roi_align(
            values,
            rois[own],
            layer.output_size,
            layer.spatial_scale,
            layer.sampling_ratio,
            layer.aligned,
        )
        crops = crops.index_put((own,), part)
    return crops


def paste(masks: Tensor, boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Resample masks (n, h, w) of boxes to the whole image: (n, H, W).

    As bilinear sampling does, in two products: a row of pixels lies between two rows of
    the mask and takes its share of both, and columns likewise.
    """
    weights = []
    for axis, (length, count) in enumerate(zip(size, masks.shape[1:], strict=True)):
        start, end = boxes[:, 1 - axis, None], boxes[:, 3 - axis, None]
        coords = torch.arange(length, device=boxes.device) + 0.5
        coords = (coords - start) / (end - start).clamp(min=1e-6) * count - 0.5
        steps = torch.arange(count, device=boxes.device)
        weights.append((1 - (coords[..., None] - steps).abs()).clamp(min=0))
    return weights[0] @ masks @ weights[1].transpose(1, 2)


def boxes_around(drawn: Tensor) -> Tensor:
    """Give the boxes around masks (n, H, W), zeros where a mask is empty: (n, 4)."""
    corners: list[list[Tensor]] = [[], []]
    for axis in (1, 2):  # columns, then rows
        held = drawn.any(axis).int()
        first, length = held.argmax(1), held.shape[1]
        corners[0].append(first)
        corners[1].append((length - held.flip(1).argmax(1)) * held.amax(1))
    return torch.stack([*corners[0], *corners[1]], 1).float()
