"""The FPN of iBOT's and CAE's detectors, from four depths of the ViT."""

from collections.abc import Sequence

from mmdet.models.necks import FPN
from mmengine.model import BaseModule
from torch import Tensor

from ccmim.dense.multi_level_pyramid import MultiLevelPyramid
from ccmim.dense.simple_feature_pyramid import for_rois
from ccmim.ranges import Count, Part
from ccmim.registry import MODELS


@MODELS.register_module()
class MultiLevelFPN(BaseModule):
    """Rescale four maps of different depths and let mmdet's FPN fuse them.

    Args:
        in_channels: Width of the backbone.
        out_channels: Channels of every level.
        norm_cfg: Of the rescaling, see ``MultiLevelPyramid``.
    """

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count = 256,
        norm_cfg: Part | None = None,
    ) -> None:
        super().__init__()
        self.rescale = MultiLevelPyramid(in_channels, norm_cfg)
        self.fpn = FPN([in_channels] * 4, out_channels, num_outs=5)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Build the pyramid.

        Args:
            maps: Four maps (B, D, H, W), from the shallowest block to the deepest.

        Returns:
            Five maps of ``out_channels`` at strides P/4 to 4P, where P is the side of
            a patch, see ``for_rois``.
        """
        return for_rois(self.fpn(self.rescale(maps)))
