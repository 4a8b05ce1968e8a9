"""RoIs of a pyramid, each cut out of the level of its size.

Imports mmdet, so the package does not import it: detection configs name it in
``custom_imports``.
"""

from collections.abc import Sequence

import torch
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor

from ccmim.operators.align import align
from ccmim.registry import MODELS


@MODELS.register_module()
class RoIExtractor(SingleRoIExtractor):
    """mmdet's ``SingleRoIExtractor``, several times as fast on a CPU.

    RoIAlign of a level is a sparse matrix product there, which reads and writes
    channels last. Elsewhere, and for other layers than the average of ``RoIAlign``, it
    is mmdet's, on contiguous maps: mmcv's own operators read memory as (B, C, H, W).
    """

    def forward(
        self,
        feats: Sequence[Tensor],
        rois: Tensor,
        roi_scale_factor: float | None = None,
    ) -> Tensor:
        """Cut out RoIs, each of its level.

        Args:
            feats: Maps (B, C, H, W), one of each level.
            rois: Image and corners x1, y1, x2, y2 in pixels of the image, (K, 5).
            roi_scale_factor: Of the sides of the boxes, after their levels are chosen.

        Returns:
            Of shape (K, C, h, w), channels last on a CPU.
        """
        plain = all(
            type(layer) is RoIAlign and layer.pool_mode == 'avg'
            for layer in self.roi_layers
        )
        if not (plain and len(rois) and feats[0].device.type == 'cpu'):
            feats = tuple(each.contiguous() for each in feats)
            return super().forward(feats, rois, roi_scale_factor)
        rois = rois.type_as(feats[0])
        level = self.map_roi_levels(rois, len(feats)).clamp(min=0)  # not of numbers
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        order = level.argsort()
        own = rois[order].split(level.bincount(minlength=len(feats)).tolist())
        bins = [
            align(
                maps,
                part,
                layer.output_size,
                layer.spatial_scale,
                layer.sampling_ratio,
                layer.aligned,
            )
            for maps, part, layer in zip(feats, own, self.roi_layers, strict=True)
        ]
        return torch.cat(bins).index_select(0, order.argsort())
