"""The ``ccmim`` command."""

from ccmim.cli.main import main

__all__ = ['main']
