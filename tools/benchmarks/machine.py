"""On what a figure was measured."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

import timm
import torch

from ccmim.precision import BF16_FLAGS, CPU_FLAGS

_INSTRUCTIONS = BF16_FLAGS | {'avx2', 'avx512f'}


def machine_facts(root: Path) -> dict[str, str]:
    """Collect date, hardware, versions and the commit of a repository.

    Args:
        root: Folder of the repository.

    Returns:
        Texts by their names.
    """
    flags = {*_cpu_info('flags').split()}
    facts = dict(
        date=datetime.datetime.now().astimezone().isoformat(timespec='minutes'),
        device=_cpu_model(),
        instructions=' '.join(sorted(_INSTRUCTIONS & flags)) or '-',
        threads=f'{torch.get_num_threads()} of {os.cpu_count()} cores',
    )
    if torch.cuda.is_available():
        facts['device'] = torch.cuda.get_device_name()
        facts['cpu'] = _cpu_model()
        facts['cuda'] = str(torch.version.cuda)
    facts.update(torch=torch.__version__, timm=timm.__version__)
    if commit := commit_of(root):
        facts['commit'] = commit
    return facts


def commit_of(folder: Path) -> str | None:
    """Name the commit of a work tree, with a plus if files were changed since.

    Returns:
        Twelve hexadecimal digits; None where there is no git or no repository.
    """
    try:
        commit = _git(folder, 'rev-parse', '--short=12', 'HEAD')
        changed = _git(folder, 'status', '--porcelain', '--untracked-files=no')
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ('+' if changed else '')


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(
        ['git', '-C', str(folder), *arguments], text=True, stderr=subprocess.DEVNULL
    ).strip()


def _cpu_model() -> str:
    return _cpu_info('model name') or platform.processor() or platform.machine()


def _cpu_info(name: str) -> str:
    lines = CPU_FLAGS.read_text().splitlines() if CPU_FLAGS.is_file() else []
    found = (line.split(':', 1)[1].strip() for line in lines if line.startswith(name))
    return next(found, '')
