"""Layouts whose names are ours: timm, MAE, the published ccMIM, DINOv2."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from ccmim.checkpoints.layouts.architecture import Architecture
from ccmim.checkpoints.layouts.rename import Tensors

# Trained with fully sharded blocks, DINOv2 names them by chunk and number.
_CHUNK = re.compile(r'^blocks\.\d+\.(?=\d+\.)')


def same(state: Mapping[str, Tensor]) -> Tensors:
    """Copy the names: MAE's are timm's, and ours are both."""
    return dict(state)


def read_dinov2(state: Mapping[str, Tensor]) -> Tensors:
    """Number the blocks of DINOv2 in one row."""
    return {_CHUNK.sub('blocks.', name): value for name, value in state.items()}


def our_config(architecture: Architecture) -> dict[str, Any]:
    """Make the config of our backbone."""
    return dict(type='ccmim.VisionTransformer', **architecture.options())


def timm_options(architecture: Architecture) -> dict[str, Any]:
    """List the arguments of ``timm.models.VisionTransformer``, without a classifier."""
    a = architecture
    options: dict[str, Any] = dict(
        img_size=a.img_size,
        patch_size=a.patch_size,
        in_chans=a.in_chans,
        embed_dim=a.embed_dim,
        depth=a.depth,
        num_heads=a.num_heads,
        mlp_ratio=a.mlp_ratio,
        qkv_bias=a.qkv_bias,
        init_values=1e-5 if a.layer_scale else None,
        num_classes=0,
    )
    if a.norm_eps != 1e-6:
        options['norm_layer'] = partial(nn.LayerNorm, eps=a.norm_eps)
    return options
