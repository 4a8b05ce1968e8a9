"""The scripts of tools/, which do what the commands say."""

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

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


def run_tool(name: str, words: Sequence[object]) -> int:
    """Run a script in this process as its command line would.

    Args:
        name: Of the script, without the suffix.
        words: Its command line.

    Returns:
        Its exit code.
    """
    tool, kept = load_tool(name), sys.argv
    sys.argv = [f'tools/{name}.py', *map(str, words)]
    try:
        code = tool.main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = kept
    if isinstance(code, str):  # what sys.exit prints
        print(code, file=sys.stderr)
        return 1
    return code or 0
