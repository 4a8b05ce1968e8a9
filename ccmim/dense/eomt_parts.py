"""Parts of EoMT's head, and what it requires of its backbone.

B batch, D width, H W image.
"""

import math
from typing import Any

from timm.layers import LayerNorm2d
from torch import Tensor, nn

from ccmim.vit.archs import resolve_arch

# Of Mask2Former, by the names of mmdet's head.
POINTS = dict(num_points=12544, oversample_ratio=3.0, importance_sample_ratio=0.75)
LOSSES = dict(
    loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0),
    loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=5.0),
    loss_dice=dict(
        type='mmdet.DiceLoss',
        use_sigmoid=True,
        activate=True,
        naive_dice=True,
        eps=1.0,
        loss_weight=5.0,
    ),
)


class Upscale(nn.Sequential):
    """Double the sides of a map (B, D, h, w)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(dim, dim, 2, stride=2)
        self.act = nn.GELU()
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False)
        self.norm = LayerNorm2d(dim)


def make_upscale(dim: int, patch_size: int) -> nn.Sequential:
    """Make what brings a map of patches to a quarter of the pixels a side.

    Args:
        dim: Width of the map.
        patch_size: Side of a patch; where it is no power of two, the nearest below
            counts, and it is doubled at least once.
    """
    steps = max(1, int(math.log2(patch_size)) - 2)
    return nn.Sequential(*[Upscale(dim) for _ in range(steps)])


def fit_head(backbone: dict[str, Any], head: dict[str, Any]) -> dict[str, Any]:
    """Give a head the sizes of its backbone.

    Args:
        backbone: Config of a ``VisionTransformer``.
        head: Config of a head.

    Returns:
        The head's config with ``embed_dim``, ``patch_size`` and ``depth``.

    Raises:
        ValueError: If queries cannot go through the backbone, or the head says another
            size than it has.
    """
    if backbone.get('attention', 'softmax') != 'softmax' or backbone.get(
        'rel_pos_bias'
    ):
        raise ValueError(
            'EoMT has queries among the tokens, which have no relative positions: set '
            "backbone.attention='softmax' and backbone.rel_pos_bias=False"
        )
    for name in ('window_size', 'out_indices'):
        if backbone.get(name):
            raise ValueError(
                f'EoMT runs all blocks, each on the whole image: leave '
                f'backbone.{name} out'
            )
    arch = resolve_arch(backbone.get('arch', 'base'))
    sizes = dict(
        embed_dim=arch['embed_dim'],
        depth=arch['depth'],
        patch_size=backbone.get('patch_size', 16),
    )
    for name, value in sizes.items():
        if head.get(name) not in (None, value):
            raise ValueError(
                f'{name}={head[name]!r} of the head does not fit the backbone, whose '
                f'is {value}: leave it out'
            )
    return {**head, **sizes}


def check_images(images: Tensor, patch: int) -> None:
    """Refuse images (B, 3, H, W) whose sides are no multiples of the patch's.

    Raises:
        ValueError: If they are.
    """
    height, width = (int(side) for side in images.shape[-2:])
    if height % patch or width % patch:
        raise ValueError(
            f'images of {height} x {width} px are no whole patches of {patch} px: '
            'resize or pad them to a multiple (model.data_preprocessor), or set '
            "model.test_cfg.mode='slide'"
        )
