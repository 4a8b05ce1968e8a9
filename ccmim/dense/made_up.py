"""Synthetic annotations for timing training steps."""

from typing import Any

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

NUM_OBJECTS = 7  # COCO has 7.3 an image
_TILE = 32  # side of the areas of one class


def made_up_objects(side: int, num_classes: int, generator: np.random.Generator) -> Any:
    """Draw seven rectangular objects, each with its box, mask and class.

    Args:
        side: Side of the square image in pixels.
        num_classes: How many classes there are.
        generator: What draws them.

    Returns:
        A ``DetDataSample`` of mmdet.
    """
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    centers = generator.uniform(0.2, 0.8, (NUM_OBJECTS, 2))
    halves = generator.uniform(0.02, 0.2, (NUM_OBJECTS, 2))
    boxes = np.concatenate([centers - halves, centers + halves], axis=1) * side
    masks = np.zeros((NUM_OBJECTS, side, side), dtype=np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int), strict=True):
        mask[top : bottom + 1, left : right + 1] = 1
    labels = generator.integers(num_classes, size=NUM_OBJECTS)
    shape = dict(img_shape=(side, side), ori_shape=(side, side))
    return DetDataSample(
        metainfo=dict(shape, scale_factor=(1.0, 1.0), img_id=0),
        gt_instances=InstanceData(
            bboxes=torch.from_numpy(boxes).float(),
            labels=torch.from_numpy(labels),
            masks=BitmapMasks(masks, side, side),
        ),
    )


def made_up_areas(side: int, num_classes: int, generator: np.random.Generator) -> Any:
    """Draw squares of one class each that cover an image.

    Args:
        side: Side of the square image in pixels.
        num_classes: How many classes there are.
        generator: What draws them.

    Returns:
        A ``SegDataSample`` of mmseg.
    """
    from mmseg.structures import SegDataSample

    tiles = generator.integers(num_classes, size=(-(-side // _TILE),) * 2)
    areas: Tensor = torch.from_numpy(tiles.repeat(_TILE, 0).repeat(_TILE, 1))
    return SegDataSample(
        metainfo=dict(img_shape=(side, side), ori_shape=(side, side)),
        gt_sem_seg=PixelData(data=areas[None, :side, :side]),
    )
