"""The Vision Transformer and its parts."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'archs': ('ARCHS',),
        'backbone': ('VisionTransformer',),
        'block': ('Block', 'LayerNorm', 'draw_linear'),
        'layers': ('no_grad',),
        'pos_embed': ('resample_pos_embed', 'sincos_pos_embed'),
    },
)
