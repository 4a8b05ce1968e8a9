"""The Vision Transformer and its parts."""

from ccmim.vit.archs import ARCHS
from ccmim.vit.backbone import VisionTransformer
from ccmim.vit.block import Block, LayerNorm, draw_linear
from ccmim.vit.layers import no_grad
from ccmim.vit.pos_embed import resample_pos_embed, sincos_pos_embed

__all__ = [
    'ARCHS',
    'Block',
    'LayerNorm',
    'VisionTransformer',
    'draw_linear',
    'no_grad',
    'resample_pos_embed',
    'sincos_pos_embed',
]
