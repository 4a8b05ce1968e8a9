"""Version and commit of ccmim, which runs record."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ccmim import __version__


@cache
def this_version() -> str:
    """Name the version, and of a checkout the commit, and whether it was changed."""
    root = Path(__file__).parents[2]
    if not (root / '.git').exists():
        return __version__
    command = ['git', '-C', str(root), 'describe', '--always', '--dirty', '--abbrev=9']
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return __version__
    commit = completed.stdout.strip()
    return f'{__version__} ({commit})' if commit else __version__


def record_version() -> None:
    """Have mmengine list ccmim where it logs the versions of everything else.

    Once for all Runners of the process.
    """
    from mmengine.runner import runner

    collect = runner.collect_env
    if getattr(collect, '__module__', '') == __name__:
        return

    def collect_env() -> dict[str, Any]:
        return {'ccmim': this_version(), **collect()}

    runner.collect_env = collect_env
