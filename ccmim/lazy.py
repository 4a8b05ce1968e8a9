"""Packages whose modules are imported on first use.

A command that looks at files alone then starts without torch, which takes seconds.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from ccmim.renamed import CLASSES, old_names


def attach(
    package: str, parts: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make what a package needs to give its names without importing them.

    Args:
        package: Name of the package.
        parts: The names that each of its modules gives, by module; a module of another
            package is named in full.

    Returns:
        ``__getattr__``, ``__dir__`` and ``__all__`` of the package.
    """
    homes = {name: module for module, names in parts.items() for name in names}

    old = old_names(package)

    def find(name: str) -> Any:
        if name not in homes:
            if (new := CLASSES.get(name)) in homes:
                find(new)  # which `old` looks for
            return old(name)
        home = homes[name]
        full = home if home.startswith('ccmim.') else f'{package}.{home}'
        value = getattr(import_module(full), name)
        setattr(sys.modules[package], name, value)
        return value

    return find, lambda: sorted({*vars(sys.modules[package]), *homes}), sorted(homes)


def load_all(package: str) -> None:
    """Import all that a package gives: its parts enter their registries.

    Args:
        package: Name of a package, which need not be a lazy one.
    """
    module = import_module(package)
    for name in getattr(module, '__all__', ()):
        getattr(module, name)
