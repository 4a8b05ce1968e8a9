"""The layouts of OpenMMLab: mmpretrain (and MMClassification from 0.15), and mmseg."""

from typing import Any

from ccmim.checkpoints.layouts.architecture import Architecture
from ccmim.checkpoints.layouts.rename import Renaming

_TOP = {
    'cls_token': 'cls_token',
    'pos_embed': 'pos_embed',
    'patch_embed.proj': 'patch_embed.projection',
    'norm': 'ln1',
}
_BLOCK = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}

MMPRETRAIN = Renaming(
    'layers',
    _TOP,
    {
        **_BLOCK,
        'attn.qkv': 'attn.qkv',
        'attn.proj': 'attn.proj',
        'ls1.gamma': 'attn.gamma1.weight',
        'ls2.gamma': 'ffn.gamma2.weight',
    },
)
# mmcv wraps torch's attention, hence the doubled name.
MMSEG = Renaming(
    'layers',
    _TOP,
    {
        **_BLOCK,
        'attn.qkv.weight': 'attn.attn.in_proj_weight',
        'attn.qkv.bias': 'attn.attn.in_proj_bias',
        'attn.proj': 'attn.attn.out_proj',
    },
)


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
