"""ccMIM: contextual masked image modeling on OpenMMLab.

Light to import: the Vision Transformer and the methods, and with them timm, are
loaded when they are first asked for.
"""

from ccmim.lazy import attach
from ccmim.operators import install as _install_operators

__version__ = '0.1.0'

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'vit': ('VisionTransformer',),
        'methods': ('CCMIM', 'MAE'),
        'api.catalogue': ('list_models', 'list_methods'),
        'api.models': ('get_model',),
        'api.features': ('extract_features',),
        'api.embedding': ('embed',),
        'apps.cli.python': ('pretrain', 'transfer'),
    },
)
__all__ += ['__version__']

_install_operators()
