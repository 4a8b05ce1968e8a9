"""``ccmim doctor``: what is installed, whether it works, how to mend it."""

from argparse import Namespace

from ccmim.apps.cli.tools import run_tool


def run(args: Namespace) -> int:
    """Print the findings; 1 if something that is needed is wrong."""
    return run_tool('check_env', [], args.debug)
