"""ViTDet's simple feature pyramid, from the last map of a plain ViT.

B batch, D width of the backbone, C channels of the pyramid, P patch side.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from mmengine.model import BaseModule
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from ccmim.dense.patch_deconv import PatchDeconv
from ccmim.operators import needs_contiguous_maps
from ccmim.ranges import Count, Part
from ccmim.registry import MODELS


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Rescale the last map by 4, 2, 1 and 1/2, project each, and add a coarser level.

    Section 3 of ViTDet, https://arxiv.org/abs/2203.16527, with the widths of its
    published code: the map is narrowed to D/4 and D/2 while it grows.

    Args:
        in_channels: Width D of the backbone; must be a multiple of 4.
        out_channels: Channels C of every level.
        input_norm_cfg: A normalization of the map itself, none by default as in
            ViTDet. The tokens of a pretrained ViT share an offset that is several
            times as long as what tells them apart, and a layer norm over channels
            keeps it. ``dict(type='SyncBN', affine=False)``, which MAE puts before its
            linear probe, takes it away: worth it where the schedule is too short for
            the pyramid to learn that.

    Raises:
        ValueError: If ``in_channels`` is no multiple of 4.
    """

    def __init__(
        self,
        in_channels: Count,
        out_channels: Count = 256,
        input_norm_cfg: Part | None = None,
    ) -> None:
        super().__init__()
        if in_channels % 4:
            raise ValueError(f'in_channels={in_channels} must be a multiple of 4')
        self.input_norm = _norm(input_norm_cfg, in_channels)
        half, quarter = in_channels // 2, in_channels // 4
        self.up4 = nn.Sequential(
            PatchDeconv(in_channels, half),
            LN2d(half),
            nn.GELU(),
            PatchDeconv(half, quarter),
            *_project(quarter, out_channels),
        )
        self.up2 = nn.Sequential(
            PatchDeconv(in_channels, half),
            *_project(half, out_channels),
        )
        self.same = nn.Sequential(*_project(in_channels, out_channels))
        self.down2 = nn.Sequential(
            nn.MaxPool2d(2), *_project(in_channels, out_channels)
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Build the pyramid.

        Args:
            maps: Feature maps of the backbone; only the last, (B, D, H, W), is used.

        Returns:
            Five maps of C channels at strides P/4, P/2, P, 2P and 4P, see ``for_rois``.
        """
        x = self.input_norm(maps[-1])
        levels = for_rois(
            level(x) for level in (self.up4, self.up2, self.same, self.down2)
        )
        return (*levels, F.max_pool2d(levels[-1], kernel_size=1, stride=2))


def for_rois(levels: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Bring maps (B, C, H, W) to what RoIAlign reads: float32, maybe contiguous.

    mmcv's operator has no bfloat16 kernel, and mmdet rounds the corners of the boxes to
    the maps' dtype. Compiled, it reads memory as (B, C, H, W) whatever the strides say,
    and the layer norm leaves channels last.
    """
    wide = (level.float() for level in levels)
    if needs_contiguous_maps():
        wide = (level.contiguous() for level in wide)
    return tuple(wide)


def _norm(cfg: Mapping[str, Any] | None, channels: int) -> nn.Module:
    if cfg is None:
        return nn.Identity()
    # Imported here, so that pretraining runs without mmcv.
    from mmcv.cnn import build_norm_layer

    return build_norm_layer(dict(cfg), channels)[1]


def _project(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        LN2d(out_channels),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        LN2d(out_channels),
    )


# Heads of mmdet ask for it by ``norm_cfg=dict(type='ccmim.LN2d', eps=1e-6)``; without
# ``eps``, mmcv would fill in 1e-5.
LN2d = MODELS.register_module(name='LN2d', module=LayerNorm2d)
