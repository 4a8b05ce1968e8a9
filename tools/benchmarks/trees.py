"""The working tree beside another commit."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def checked_out(commit: str, tree: Path) -> Iterator[None]:
    """Check a commit of the repository at hand out into a folder, for a while.

    Raises:
        ValueError: If git has no such commit, or the folder at hand no repository.
    """
    command = ['git', 'worktree', 'add', '--detach', str(tree), commit]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise ValueError(f'no {commit}: {made.stderr.strip().splitlines()[-1]}')
        yield
    finally:
        command = ['git', 'worktree', 'remove', '--force', str(tree)]
        subprocess.run(command, capture_output=True, check=False)


def facts_of(trees: dict[str, Path]) -> dict[str, str]:
    """Collect machine, versions and the commits of the trees 'before' and 'after'."""
    from benchmarks.machine import commit_of, machine_facts  # torch: not for a mistake

    facts = machine_facts(trees['after'])
    facts.pop('commit')
    return facts | {name: str(commit_of(tree)) for name, tree in trees.items()}
