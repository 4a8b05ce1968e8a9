"""Change a room in one place at a time, and count the changes that its tests notice.

    python tools/mutate.py ROOM... --tests tests/losses... [--limit 100] [--seed 0]
        [--minutes 30] [--again] [--jobs 2] [--out work_dirs/mutants.json]

Comparisons are turned or made strict, operators and reductions swapped, numbers moved
by one, switches and conditions negated, signs and ``detach()`` dropped, calls that
stand alone left out. Each mutant meets the quick tests that call its function (all of
them where none does) in a fork of a process that has imported the libraries: it is
killed when one fails, or when they take three times as long as before. What survives
is printed, but for what tools/mutating/equivalent.txt names. Each answer is kept in the
file OUT, so that the same command resumes; a changed file is asked anew, and with
--again what survived.
"""

import argparse
import gc
import hashlib
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mutating.asking import Known, Question, ask, watch
from mutating.changes import Mutant, changed, mutants

PRELOAD = ('torch', 'torchvision', 'mmengine.runner', 'ccmim.operators')
EQUIVALENT = Path(__file__).parent / 'mutating/equivalent.txt'


def main() -> None:
    """Ask the tests about the mutants of each room."""
    args = _arguments()
    chosen = {room: _drawn(room, args) for room in args.room}
    known = json.loads(args.out.read_text()) if args.out.exists() else {}
    if args.again:
        known = {key: answer for key, answer in known.items() if not answer}
    open_ = [p for pairs, _ in chosen.values() for p in pairs if _key(*p) not in known]
    if open_:
        for key, survived in ask(_questions(args, open_), args.jobs):
            known[key] = 'survived' if survived else ''
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(known, indent=1))
    for room, (pairs, equivalent) in chosen.items():
        answers = [
            (pair, known[key]) for pair in pairs if (key := _key(*pair)) in known
        ]
        survivors = [pair for pair, answer in answers if answer]
        for file, mutant in survivors:
            print(f'{mutant.line:4d} {_name(file, mutant)}')
        asked, killed = len(answers), len(answers) - len(survivors)
        score = f' ({100 * killed / asked:.1f} per cent)' if asked else ''
        print(
            f'{room}: {killed} of {asked} mutants killed{score}, '
            f'{len(pairs) - asked} not asked, {equivalent} equivalent'
        )


def _questions(
    args: argparse.Namespace, pairs: list[tuple[Path, Mutant]]
) -> Iterator[tuple[str, Question]]:
    watched = _watched(args, {file for file, _ in pairs})
    end = time.monotonic() + 60 * args.minutes
    for file, mutant in pairs:
        if time.monotonic() > end:
            return
        tests = watched.of(file, mutant.function)
        seconds = 10 + 3 * args.jobs * sum(watched.seconds[test] for test in tests)
        tree = changed(file.read_text(), mutant)
        yield _key(file, mutant), Question(tests, file, tree, seconds)


def _drawn(
    room: Path, args: argparse.Namespace
) -> tuple[list[tuple[Path, Mutant]], int]:
    """Draw mutants of a room; how many equivalent ones would be among them."""
    files = [room] if room.is_file() else sorted(room.rglob('*.py'))
    drawn = [(f.resolve(), one) for f in files for one in mutants(f.read_text())]
    # A change of one file leaves the lots of the others.
    drawn.sort(key=lambda pair: _lot(args.seed, _name(*pair)))
    same = _equivalent()
    left = [pair for pair in drawn if _name(*pair) not in same][: args.limit]
    last = drawn.index(left[-1]) if left else 0
    return left, last + 1 - len(left)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('room', type=Path, nargs='+', help='folders or files')
    parser.add_argument('--tests', nargs='+', required=True)
    parser.add_argument(
        '--limit', type=int, help='that many of each room, drawn by lot'
    )
    parser.add_argument('--minutes', type=float, default=float('inf'))
    parser.add_argument('--jobs', type=int, default=1, help='forks at a time')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--again', action='store_true', help='ask survivors anew')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/mutants.json'))
    parser.add_argument('--preload', nargs='*', default=PRELOAD, help='modules')
    args = parser.parse_args()
    for path in (*map(Path, args.tests), *args.room):
        if not path.exists():
            parser.error(f'{path} is no folder or file of Python')
    return args


def _watched(args: argparse.Namespace, files: set[Path]) -> Known:
    """What the tests call; and import here all libraries that they do."""
    for name in args.preload:
        importlib.import_module(name)
    if 'torch' in sys.modules:
        sys.modules['torch'].set_num_threads(1)
    try:
        watched = watch(args.tests, files)
    except RuntimeError as error:
        sys.exit(f'{error}\nerror: the tests fail without a mutant')
    for name in watched.modules:
        with suppress(Exception):
            importlib.import_module(name)
    there = {getattr(module, '__file__', None) for module in [*sys.modules.values()]}
    for file in files:
        if str(file) in there:
            sys.exit(f'error: {file} is imported already: name less with --preload')
    gc.freeze()
    return watched


def _key(file: Path, mutant: Mutant) -> str:
    content = hashlib.sha1(file.read_bytes()).hexdigest()
    return f'{os.path.relpath(file)}:{mutant.line} {mutant.what} {content[:12]}'


def _name(file: Path, mutant: Mutant) -> str:
    line = file.read_text().splitlines()[mutant.line - 1].strip()
    return f'{os.path.relpath(file)} {mutant.what}: {line}'


def _lot(seed: int, name: str) -> bytes:
    return hashlib.sha1(f'{seed} {name}'.encode()).digest()


def _equivalent() -> set[str]:
    """The names of those that change nothing; their reasons are indented."""
    lines = EQUIVALENT.read_text().splitlines()
    return {line for line in lines if line and line[0] not in ' #'}


if __name__ == '__main__':
    main()
