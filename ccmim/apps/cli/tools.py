"""Run the scripts of tools/, which do the work of the commands."""

import sys
import traceback
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import NoReturn

from ccmim.api.catalogue import home


def load_tool(name: str) -> ModuleType:
    """Import a script of ``tools/`` without running it.

    Args:
        name: Of the script, without the suffix.

    Returns:
        Its module.
    """
    spec = spec_from_file_location(f'ccmim_{name}', home() / 'tools' / f'{name}.py')
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_tool(name: str, words: Sequence[object], debug: bool = False) -> int:
    """Run a script in this process as its command line would.

    Args:
        name: Of the script, without the suffix.
        words: Its command line.
        debug: Whether to show the traceback of what it ends with.

    Returns:
        Its exit code.

    Raises:
        ValueError: What the script calls a mistake of its command line; or what that
            came from, which may be another error.
    """
    tool, argv, error = load_tool(name), sys.argv, ArgumentParser.error
    sys.argv = [f'tools/{name}.py', *map(str, words)]
    ArgumentParser.error = _raise
    try:
        code = tool.main()
    except SystemExit as end:
        if debug and end.__context__:
            traceback.print_exception(end.__context__)
        code = end.code
    finally:
        sys.argv, ArgumentParser.error = argv, error
    if isinstance(code, str):  # what sys.exit prints
        print(code, file=sys.stderr)
        return 1
    return code or 0


def _raise(parser: ArgumentParser, message: str) -> NoReturn:
    """Raise what would be printed with the usage of a script that nobody called."""
    cause = sys.exc_info()[1]
    if isinstance(cause, ValueError | OSError | ImportError):
        raise cause
    raise ValueError(message) from cause
