"""``ccmim doctor``: check the installation, and say how to fix it."""

from argparse import Namespace

from ccmim.apps.cli.tools import run_tool


def run(args: Namespace) -> int:
    """Print the findings; 1 if something that is needed is wrong."""
    return run_tool('check_env', [], args.debug)
