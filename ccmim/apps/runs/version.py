"""Version and commit of ccmim."""

import subprocess
from functools import cache
from pathlib import Path

from ccmim import __version__


@cache
def this_version() -> str:
    """Name the version, and of a checkout the commit, and whether it was changed."""
    root = Path(__file__).parents[3]
    if not (root / '.git').exists():
        return __version__
    command = ['git', '-C', str(root), 'describe', '--always', '--dirty', '--abbrev=9']
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return __version__
    commit = found.stdout.strip()
    return f'{__version__} ({commit})' if commit else __version__
