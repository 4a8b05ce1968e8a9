#!/usr/bin/env python3
r"""Measure training steps in this tree and in that of another commit, in turn.

    python tools/compare_steps.py COMMIT mm_configs/small/mae_vitt.py
    OMP_NUM_THREADS=1 python tools/compare_steps.py COMMIT CONFIG \
        --cfg-options optim_wrapper.dtype=float32

COMMIT is checked out into a temporary worktree. Two trainings begin by tools/train.py,
with their hooks and loader workers, one in each tree. One of them waits while the other
takes some steps, so that what slows a machine down for seconds meets both, and starting
does not count. The table has CPU milliseconds of a step, with those of the workers, and
how many times as fast a step has become: median and quartiles over rounds. Losses after
the same steps stand below it.

Exit code: 0, or 2 for a mistake in what was asked for or a training that ended.
"""

import argparse
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.trees import checked_out, facts_of
from ccmim.files import Parser, say

PAUSED = Path(__file__).resolve().parent / 'benchmarks' / 'paused.py'


class Report(NamedTuple):
    """What a training has used so far, and its last loss."""

    cpu_seconds: float
    loss: float


class Training:
    """A training in a tree, which takes some steps when it is told to.

    Args:
        tree: Top of a checkout.
        args: The command line.
        out: New folder for the run, and the file that it logs to.
    """

    def __init__(self, tree: Path, args: argparse.Namespace, out: Path) -> None:
        self._log = out.with_suffix('.txt')
        reports, theirs = os.pipe()
        orders, self._orders = os.pipe()
        command = [PAUSED, args.steps, theirs, orders, 'tools/train.py', args.config]
        command += ['--work-dir', out]
        if args.cfg_options:
            command += ['--cfg-options', *args.cfg_options]
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                cwd=tree,
                env=dict(os.environ, PYTHONPATH=str(tree)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs, orders),
                start_new_session=True,
            )
        os.close(theirs)
        os.close(orders)
        self._reports = os.fdopen(reports)

    def report(self) -> Report:
        """Wait for the end of some steps.

        Raises:
            ValueError: If the training ends before, with the last line that it wrote.
        """
        line = self._reports.readline()
        if not line:
            lines = self._log.read_text(errors='replace').strip().splitlines()
            raise ValueError(f'the training ended: {lines[-1] if lines else "silent"}')
        return Report(*map(float, line.split()))

    def go(self) -> Report:
        """Take some steps."""
        os.write(self._orders, b'.')
        return self.report()

    def close(self) -> None:
        """End it at its pause."""
        os.close(self._orders)
        self._process.terminate()
        self._process.wait()
        self._reports.close()


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('commit', help='what this tree is compared with')
    add('config', help='of a training, a path in both trees')
    add('--rounds', type=int, default=8, help='over both trees')
    add('--steps', type=int, default=4, help='of a tree in a round')
    add('--cfg-options', nargs='+', metavar='KEY=VALUE', help='changes of the config')
    args = parser.parse_args()
    for name in ('rounds', 'steps'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1')
    return args


def measure(
    trees: dict[str, Path], args: argparse.Namespace, folder: Path
) -> dict[str, list[Report]]:
    """Let both trainings take steps in turn.

    Returns:
        By tree its reports: after the first steps, which do not count, and each round.

    Raises:
        ValueError: If one of them ends.
    """
    old, new = trees
    with (
        closing(Training(trees[old], args, folder / 'run_before')) as first,
        closing(Training(trees[new], args, folder / 'run_after')) as second,
    ):
        trainings = {old: first, new: second}
        reports = {name: [one.report()] for name, one in trainings.items()}
        for number in range(args.rounds):
            for name in (old, new) if number % 2 else (new, old):
                reports[name].append(trainings[name].go())
            say(f'round {number + 1} of {args.rounds}', file=sys.stderr)
    return reports


def summarize(reports: dict[str, list[Report]], steps: int) -> str:
    """Write the table, and the losses below."""
    taken = [
        [b.cpu_seconds - a.cpu_seconds for a, b in zip(one, one[1:], strict=False)]
        for one in reports.values()
    ]
    before, after = (f'{1000 * median(one) / steps:.0f}' for one in taken)
    ratios = [old / new for old, new in zip(*taken, strict=True)]
    low, middle, high = quantiles(ratios * 2, n=4, method='inclusive')
    pairs = zip(*reports.values(), strict=True)
    losses = ', '.join(f'{old.loss:.6f} {new.loss:.6f}' for old, new in pairs)
    return (
        '| CPU ms before | after | times as fast | quartiles |\n|---|---|---|---|\n'
        f'| {before} | {after} | {middle:.2f} | {low:.2f} to {high:.2f} |\n\n'
        f'losses before and after: {losses}'
    )


def main() -> int:
    """Measure, and print the table."""
    args = parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name).resolve()
        trees = dict(before=folder / 'before', after=Path.cwd())
        try:
            with checked_out(args.commit, trees['before']):
                table = summarize(measure(trees, args, folder), args.steps)
                facts = facts_of(trees)
        except ValueError as error:
            say(f'error: {error}', file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            say('interrupted', file=sys.stderr)
            return 130
    print(table, end='\n\n')
    say(*(f'{fact}: {value}' for fact, value in facts.items()))
    return 0


if __name__ == '__main__':
    sys.exit(main())
