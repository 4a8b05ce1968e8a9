"""The ``ccmim`` command."""

from ccmim.apps.cli.main import main

__all__ = ['main']
