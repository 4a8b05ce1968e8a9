"""The Vision Transformer and its parts."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'ccmim.precision': ('no_grad',),
        'archs': ('ARCHS',),
        'backbone': ('VisionTransformer',),
        'block': ('Block', 'LayerNorm', 'draw_linear'),
        'embedding': ('resample_pos_embed', 'sincos_pos_embed', 'take'),
    },
)
