"""Spatial context beside the boxes of Mask R-CNN and Faster R-CNN.

Imports mmdet, so the package does not import it: detection configs name it in
``custom_imports``.
"""

from typing import Annotated, Any

import torch
from mmdet.models.roi_heads import StandardRoIHead
from torch import Tensor

from ccmim.ranges import ArgsOf, Part
from ccmim.registry import MODELS, build_part


@MODELS.register_module()
class ContextRoIHead(StandardRoIHead):
    """mmdet's RoI head, whose box features must predict how an object's parts lie.

    The variant of LIO for detection (https://arxiv.org/abs/2003.14142): spatial context
    learning on the 7 x 7 features that the box head gets, all of them taken for the
    object. Published is this for all proposals; here it is for those with an object,
    as the rest has none. Nothing of it is there in testing.

    Args:
        context: Config of the loss, such as ``SpatialContext``.
        kwargs: Arguments of mmdet's ``StandardRoIHead``.
    """

    def __init__(
        self, context: Part, **kwargs: Annotated[Any, ArgsOf(StandardRoIHead)]
    ) -> None:
        super().__init__(**kwargs)
        channels = self.bbox_roi_extractor.out_channels
        self.context = build_part(context, in_dim=channels)

    def bbox_loss(
        self, x: tuple[Tensor, ...], sampling_results: list[Any]
    ) -> dict[str, Any]:
        """Compute the losses of the boxes, ``loss_context`` among them.

        Args:
            x: Maps of the pyramid.
            sampling_results: The sampled proposals of each image.

        Returns:
            What mmdet's head gives.
        """
        results = super().bbox_loss(x, sampling_results)
        sizes = [(len(r.pos_priors), len(r.priors)) for r in sampling_results]
        is_object = [i < count for count, size in sizes for i in range(size)]
        features = results['bbox_feats']  # (R, C, h, w), objects first in each image
        objects = features[torch.tensor(is_object, device=features.device)]
        patches = objects.flatten(2).transpose(1, 2)  # (objects, h * w, C)
        loss = self.context(patches, tuple(objects.shape[2:]))
        results['loss_bbox']['loss_context'] = loss
        return results
