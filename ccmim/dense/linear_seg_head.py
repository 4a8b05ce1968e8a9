"""A linear classifier of patches, for frozen features.

Imports mmseg, so the package does not import it: segmentation configs name it in
``custom_imports``.
"""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from torch import Tensor

from ccmim.dense.segmentor_heads import EnlargedLoss
from ccmim.ranges import Count
from ccmim.registry import MODELS


@MODELS.register_module()
class LinearSegHead(EnlargedLoss):
    """Batch norm and one 1 x 1 convolution on a map of the backbone.

    The linear protocol of DINOv2, https://arxiv.org/abs/2304.07193: how much of the
    classes is in the features without any further processing.

    Args:
        in_channels: Width of the map.
        **kwargs: Of mmseg's decode heads, such as ``num_classes`` and ``norm_cfg``,
            which must be given.
    """

    def __init__(self, in_channels: Count, **kwargs: Any) -> None:
        kwargs = {'dropout_ratio': 0.0, **kwargs}
        super().__init__(in_channels, in_channels, **kwargs)
        self.norm = build_norm_layer(self.norm_cfg, in_channels)[1]

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute logits (B, classes, H, W) at the stride of the map (B, D, H, W)."""
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))
