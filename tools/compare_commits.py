#!/usr/bin/env python3
"""Measure what commands cost in this tree and in that of another commit, in turn.

    python tools/compare_commits.py COMMIT --rounds 3 -- python -m ccmim check photos
    python tools/compare_commits.py COMMIT --file commands.txt

COMMIT is checked out into a temporary worktree. Each line of the file, or what follows
the dashes, is a command for bash, run at the top of each tree with its package first:
once unmeasured, then in rounds over both trees. In it, $OUT is a new folder in each
call, and $KEPT one that the calls of a tree share, say for features of photos: a
command that uses it is measured as it is asked a second time. `OLD ||| NEW` spells it
for the commit first; `LONG --- SHORT` is what the long one costs more than the short
one. The table has CPU seconds, of the processes begun by the command as well, and the
median and the range over rounds of after / before.

Exit code: 0, or 1 if a command failed, or 2 for a mistake in what was asked for.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile, mkdtemp
from typing import NamedTuple

from benchmarks.trees import checked_out, facts_of
from ccmim.files import Parser, say

OF_COMMIT, LESS = ' ||| ', ' --- '
HEADINGS = (
    'command',
    'CPU s before',
    'after',
    'after / before',
    'range',
    'wall s before',
    'after',
)


class Cost(NamedTuple):
    """Seconds of a command: CPU time of all its processes, and by the clock."""

    cpu: float
    wall: float


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('commit', help='what this tree is compared with')
    parser.add_argument('--rounds', type=int, default=3, help='over both trees')
    parser.add_argument('--file', type=Path, help='a command a line; # is a comment')
    own = sys.argv[1:]
    end = own.index('--') if '--' in own else len(own)
    args = parser.parse_args(own[:end])
    args.lines = [' '.join(own[end + 1 :])] if own[end + 1 :] else []
    if args.rounds < 1:
        parser.error('--rounds must be at least 1')
    if bool(args.lines) == bool(args.file):
        parser.error('give one command after --, or --file with one a line')
    return args


def read_lines(file: Path) -> list[str]:
    """Read commands, one a line, without comments.

    Raises:
        ValueError: If that is impossible.
    """
    try:
        lines = map(str.strip, file.read_text().splitlines())
    except OSError as error:
        raise ValueError(f'--file {file} cannot be read: {error.strerror}') from None
    return [line for line in lines if line and line[0] != '#']


def cost(line: str, tree: Path, kept: Path) -> Cost:
    """Run a line in a tree to its end.

    Raises:
        ChildProcessError: If a command fails, with the last line that it wrote.
    """
    long, *short = (_once(command, tree, kept) for command in line.split(LESS))
    return Cost(*(a - sum(b) for a, *b in zip(long, *short, strict=True)))


def _once(command: str, tree: Path, kept: Path) -> Cost:
    kept.mkdir(exist_ok=True)
    env = dict(os.environ, PYTHONPATH=str(tree), KEPT=str(kept))
    env['PATH'] = f'{Path(sys.executable).parent}:{env["PATH"]}'
    with TemporaryDirectory() as out, TemporaryFile() as log:
        begun = time.perf_counter()
        process = subprocess.Popen(
            ['bash', '-c', command],
            cwd=tree,
            env=env | dict(OUT=out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            # Unlike getrusage, this leaves out what ran before.
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:  # Ctrl-C
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        wall = time.perf_counter() - begun
        if process.returncode:
            log.seek(0)
            said = log.read().decode(errors='replace').split('\n')
            last = next((text for text in reversed(said) if text.strip()), 'no output')
            raise ChildProcessError(f'code {process.returncode}: {last.strip()}')
    return Cost(usage.ru_utime + usage.ru_stime, wall)


def compare(line: str, trees: dict[str, Path], folder: Path, rounds: int) -> str:
    """Measure a line in both trees.

    Returns:
        A row of the table.

    Raises:
        ChildProcessError: If the line fails in one of the trees.
    """
    before, _, after = line.rpartition(OF_COMMIT)
    spelled = dict(zip(trees, (before or after, after), strict=True))
    taken: dict[str, list[Cost]] = {name: [] for name in trees}
    kept = Path(mkdtemp(dir=folder))
    for number in range(rounds + 1):
        # In turn each tree is first, as a machine may slow down in a round.
        for name in list(trees)[:: -1 if number % 2 else 1]:
            try:
                one = cost(spelled[name], trees[name], kept / name)
            except ChildProcessError as error:
                raise ChildProcessError(f'{name}: {spelled[name]}: {error}') from None
            if number:  # the first call compiled the modules, and read the files
                taken[name].append(one)
                say(f'{one.cpu:8.2f} s  {name}: {spelled[name]}', file=sys.stderr)
    old, new = taken.values()
    ratios = sorted(b.cpu / max(a.cpu, 1e-9) for a, b in zip(old, new, strict=True))
    cpu = [f'{median(one.cpu for one in side):.2f}' for side in (old, new)]
    wall = [f'{median(one.wall for one in side):.1f}' for side in (old, new)]
    ratio = [f'{median(ratios):.2f}', f'{ratios[0]:.2f} to {ratios[-1]:.2f}']
    shown = after.replace('|', '\\|')
    return f'| {" | ".join([f"`{shown}`", *cpu, *ratio, *wall])} |'


def main() -> int:
    """Measure, and print the table: commands that fail are named and left out."""
    args = parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):  # also where a shell ignores them
        signal.signal(each, signal.default_int_handler)
    failed = False
    rows = [f'| {" | ".join(HEADINGS)} |', f'|{"---|" * len(HEADINGS)}']
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        trees = dict(before=folder / 'before', after=Path.cwd())
        try:
            lines = read_lines(args.file) if args.file else args.lines
            with checked_out(args.commit, trees['before']):
                for line in lines:
                    try:
                        rows.append(compare(line, trees, folder, args.rounds))
                    except ChildProcessError as error:
                        failed = True
                        say(f'FAILED {error}', file=sys.stderr)
                facts = facts_of(trees)
        except ValueError as error:
            say(f'error: {error}', file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            say('interrupted', file=sys.stderr)
            return 130
    print('\n'.join(rows), end='\n\n')
    say(*(f'{fact}: {value}' for fact, value in facts.items()))
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
