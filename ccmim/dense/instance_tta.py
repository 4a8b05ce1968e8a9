"""Merge detections from several augmented views of an image."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.structures.bbox import bbox_flip
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData

from ccmim.ranges import Count, Part
from ccmim.registry import MODELS

_SIDES = dict(horizontal=(2,), vertical=(1,), diagonal=(1, 2))  # of masks (n, H, W)


@MODELS.register_module()
class InstanceTTAModel(BaseTTAModel):
    """Detector that looks at resized and flipped views of each image.

    The boxes of all views compete in one non-maximum suppression, and the winners keep
    the masks of their views. mmdet's own model refuses masks.

    Args:
        nms: Config of the suppression among the views, as in a detector's ``test_cfg``.
        max_per_img: Most objects of an image.
        **kwargs: ``module``, the detector or its config, and ``data_preprocessor``.
    """

    def __init__(self, nms: Part, max_per_img: Count = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nms, self.max_per_img = dict(nms), max_per_img

    def merge_preds(self, data_samples_list: Sequence[Sequence[Any]]) -> list[Any]:
        """Merge the results of the views of each image.

        Args:
            data_samples_list: For each image the results of its views, at the size of
                the original image and flipped where the view is.

        Returns:
            A result for each image.
        """
        return [self._merge(views) for views in data_samples_list]

    def _merge(self, views: Sequence[Any]) -> Any:
        instances = InstanceData.cat([_unflipped(view) for view in views])
        if len(instances):
            boxes, keep = batched_nms(
                instances.bboxes, instances.scores, instances.labels, self.nms
            )
            instances = instances[keep[: self.max_per_img]]
            # Of the suppression, which may lower scores (soft NMS).
            instances.scores = boxes[: self.max_per_img, 4]
        merged = views[0]
        merged.pred_instances = instances
        return merged


def _unflipped(view: Any) -> InstanceData:
    instances = view.pred_instances
    if view.get('flip'):
        side = view.flip_direction
        instances.bboxes = bbox_flip(instances.bboxes, view.ori_shape, side)
        if 'masks' in instances:
            instances.masks = torch.flip(instances.masks, _SIDES[side])
    return instances
