"""Configs of the backbones, ours and other libraries', that weights fit."""

from functools import partial
from typing import Any

from torch import nn

from ccmim.checkpoints.architecture import Architecture


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
    if a.act == 'swiglu':
        from timm.layers import SwiGLUPacked

        options.update(mlp_layer=SwiGLUPacked, mlp_ratio=2 * a.mlp_ratio)
        options['act_layer'] = nn.SiLU
    elif a.act != 'gelu':
        options['act_layer'] = a.act
    if not a.class_token:
        options.update(class_token=False, global_pool='avg', fc_norm=False)
    extra = dict(reg_tokens=a.reg_tokens, pre_norm=a.pre_norm, qk_norm=a.qk_norm)
    return options | {name: value for name, value in extra.items() if value}


def mmpretrain_config(architecture: Architecture) -> dict[str, Any]:
    """Make the config of mmpretrain's backbone."""
    a = architecture
    return dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=a.embed_dim,
            num_layers=a.depth,
            num_heads=a.num_heads,
            feedforward_channels=a.hidden_dim,
        ),
        img_size=a.img_size,
        patch_size=a.patch_size,
        in_channels=a.in_chans,
        qkv_bias=a.qkv_bias,
        norm_cfg=dict(type='LN', eps=a.norm_eps),
        final_norm=a.final_norm,
        layer_scale_init_value=1e-5 if a.layer_scale else 0.0,
    )


def mmseg_config(architecture: Architecture) -> dict[str, Any]:
    """Make the config of mmseg's backbone, whose defaults have no bias of patches."""
    a = architecture
    return dict(
        type='VisionTransformer',
        img_size=a.img_size,
        patch_size=a.patch_size,
        in_channels=a.in_chans,
        embed_dims=a.embed_dim,
        num_layers=a.depth,
        num_heads=a.num_heads,
        mlp_ratio=int(a.mlp_ratio) if a.mlp_ratio.is_integer() else a.mlp_ratio,
        norm_cfg=dict(type='LN', eps=a.norm_eps),
        patch_bias=True,
        final_norm=a.final_norm,
    )
