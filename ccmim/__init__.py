"""ccMIM: contextual masked image modeling on OpenMMLab.

Light to import: the Vision Transformer and the methods, and with them timm, are
loaded when they are first asked for.
"""

from importlib import import_module
from typing import Any

from ccmim.operators import install as _install_operators

__version__ = '0.1.0'

_LAZY = {
    'VisionTransformer': 'ccmim.vit',
    'CCMIM': 'ccmim.methods',
    'MAE': 'ccmim.methods',
    'list_models': 'ccmim.api.catalogue',
    'list_methods': 'ccmim.api.catalogue',
    'get_model': 'ccmim.api.models',
    'extract_features': 'ccmim.api.features',
}

__all__ = ['__version__', *_LAZY]

_install_operators()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
