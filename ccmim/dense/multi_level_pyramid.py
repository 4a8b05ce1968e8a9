"""UperNet's feature pyramid, from four depths of a plain ViT.

B batch, D width of the backbone, P patch side.
"""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ccmim.dense.patch_deconv import PatchDeconv
from ccmim.ranges import Count, Part
from ccmim.registry import MODELS


@MODELS.register_module()
class MultiLevelPyramid(BaseModule):
    """Rescale four maps of different depths by 4, 2, 1 and 1/2, keeping their width.

    The pyramid of BEiT's and MAE's segmentation recipes, as mmseg's Feature2Pyramid.

    Args:
        in_channels: Width D of the backbone.
        norm_cfg: The normalization between the two steps of the finest level.
    """

    def __init__(self, in_channels: Count, norm_cfg: Part | None = None) -> None:
        super().__init__()
        # Imported here, so that pretraining runs without mmcv.
        from mmcv.cnn import build_norm_layer

        _, norm = build_norm_layer(dict(norm_cfg or {'type': 'SyncBN'}), in_channels)
        self.up4 = nn.Sequential(
            PatchDeconv(in_channels, in_channels),
            norm,
            nn.GELU(),
            PatchDeconv(in_channels, in_channels),
        )
        self.up2 = PatchDeconv(in_channels, in_channels)
        self.down2 = nn.MaxPool2d(2)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Build the pyramid.

        Args:
            maps: Four maps of shape (B, D, H, W), from the shallowest block to the
                deepest.

        Returns:
            Four maps of D channels at strides P/4, P/2, P and 2P.
        """
        first, second, third, fourth = maps
        return self.up4(first), self.up2(second), third, self.down2(fourth)
