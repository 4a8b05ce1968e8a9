"""The old name of ``ccmim.dense``: recorded configs import these modules by it.

``ccmim.transfer(weights, data)`` is a function besides, whoever imports this first.
"""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from importlib import import_module  # of the apps, which are below

        return import_module('ccmim.apps.cli.python').transfer(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
