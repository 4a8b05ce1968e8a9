"""Predicted objects in COCO's format."""

from typing import Any

import numpy as np


def objects_of(
    sample: Any, image_id: int, least_score: float, start: int
) -> list[dict[str, Any]]:
    """Write detected objects as COCO's format does.

    Args:
        sample: What a detector predicts.
        image_id: Number of the image.
        least_score: Objects of a lower score are left out.
        start: Number of the first object.

    Returns:
        Annotations with a ``score``; categories count from 1, in the order of the
        classes. Of a panoptic prediction objects and regions, without a score.
    """
    if 'pred_instances' not in sample:
        return _segments_of(sample.pred_panoptic_seg, image_id, start)
    instances = sample.pred_instances.cpu().numpy()
    objects = []
    for i in np.flatnonzero(instances.scores >= least_score):
        left, top, right, bottom = instances.bboxes[i].tolist()
        box = [left, top, right - left, bottom - top]
        one = dict(
            id=start + len(objects),
            image_id=image_id,
            category_id=int(instances.labels[i]) + 1,
            bbox=[round(value, 2) for value in box],
            area=round(box[2] * box[3], 2),
            iscrowd=0,
            score=round(float(instances.scores[i]), 4),
        )
        if 'masks' in instances:
            from pycocotools import mask as coco_mask

            packed = coco_mask.encode(np.asfortranarray(instances.masks[i], np.uint8))
            one['area'] = int(coco_mask.area(packed))
            counts = packed['counts'].decode()
            one['segmentation'] = dict(size=packed['size'], counts=counts)
        objects.append(one)
    return objects


def _segments_of(segments: Any, image_id: int, start: int) -> list[dict[str, Any]]:
    from mmdet.structures import INSTANCE_OFFSET
    from pycocotools import mask as coco_mask

    drawn = segments.sem_seg[0].cpu().numpy()
    objects: list[dict[str, Any]] = []
    for number in np.unique(drawn):
        category = int(number) % INSTANCE_OFFSET
        if category == segments.ignore_index:
            continue
        packed = coco_mask.encode(np.asfortranarray(drawn == number, np.uint8))
        size, counts = packed['size'], packed['counts'].decode()
        objects.append(
            dict(
                id=start + len(objects),
                image_id=image_id,
                category_id=category + 1,
                bbox=[round(side, 2) for side in coco_mask.toBbox(packed).tolist()],
                area=int(coco_mask.area(packed)),
                iscrowd=0,
                segmentation=dict(size=size, counts=counts),
            )
        )
    return objects
