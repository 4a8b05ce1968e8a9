"""mmengine's optimizers without importing transformers, which takes three seconds.

mmengine imports all of transformers (and that peft, where it is installed) to register
one optimizer. Here that is imported when a config asks for it.
"""

import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

IMPORTER = 'mmengine.optim.optimizer.builder'


class WithoutTransformers(Loader):
    """Loads mmengine's list of optimizers as if there were no transformers.

    Args:
        loader: Loads the module.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        """Be the loader otherwise."""
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then register what it has missed."""
        module.__loader__ = module.__spec__.loader = self.loader
        if 'transformers' in sys.modules or find_spec('transformers') is None:
            self.loader.exec_module(module)
            return
        sys.modules['transformers'] = None  # importing it is an ImportError
        try:
            self.loader.exec_module(module)
        finally:
            del sys.modules['transformers']
        module.OPTIMIZERS.register_module(name='Adafactor', module=_adafactor)


def _adafactor(params: Any, **options: Any) -> Any:
    """Build the Adafactor of transformers."""
    from transformers import Adafactor

    return Adafactor(params, **options)
