"""Change a room in one place at a time, and count the changes that its tests notice.

    python tools/mutate.py ccmim/losses --tests tests/losses [--limit 100]
        [--minutes 30] [--seed 0] [--out work_dirs/mutants.json]

Comparisons are turned or made strict, operators swapped, numbers moved by one, switches
and conditions negated, calls that stand alone left out. Each mutant meets the quick
tests in a fork of a process that has imported PyTorch: it is killed when one fails, or
when they take three times as long as before. What survives is printed. Each answer is
kept in the file OUT, so that the same command resumes; a changed file is asked anew.
"""

import argparse
import ast
import copy
import hashlib
import importlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import NamedTuple

SWAPS = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult},
}
PRELOAD = ('torch', 'torchvision', 'mmengine.runner', 'pytest')


class Mutant(NamedTuple):
    """One change: where it is, what it is, and the tree that has it."""

    line: int
    what: str
    tree: ast.Module


def mutants(text: str) -> list[Mutant]:
    """All changes of a source text, in the order of its tree."""
    tree, found = ast.parse(text), []
    for number, (node, what, _) in enumerate(_sites(tree)):
        changed = copy.deepcopy(tree)
        _, _, change = next(s for i, s in enumerate(_sites(changed)) if i == number)
        change()
        found.append(Mutant(node.lineno, what, ast.fix_missing_locations(changed)))
    return found


def _sites(tree: ast.AST) -> Iterator[tuple[ast.AST, str, Callable[[], None]]]:
    """Places that can be changed: a node, what is done, and a function that does it."""
    for node in _computed(tree):
        if isinstance(node, ast.Compare):
            for i, op in enumerate(node.ops):
                yield node, *_swap(op, lambda new, i=i, n=node: _put(n.ops, i, new))
        elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
            if type(node.op) in SWAPS:
                yield node, *_swap(node.op, lambda new, n=node: setattr(n, 'op', new))
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            new = not node.value
            yield node, f'{node.value} -> {new}', _setter(node, 'value', new)
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            new = node.value + 1
            yield node, f'{node.value} -> {new}', _setter(node, 'value', new)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield node, 'call left out', _setter(node, 'value', ast.Constant(None))
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            new = ast.UnaryOp(ast.Not(), node.test)
            yield node, 'condition negated', _setter(node, 'test', new)


def _computed(node: ast.AST) -> Iterator[ast.AST]:
    """What is computed below a node: no annotations, and no texts of errors."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ('annotation', 'returns') or isinstance(node, ast.Raise):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _computed(child)


def _swap(op: ast.AST, put: Callable) -> tuple[str, Callable[[], None]]:
    new = SWAPS[type(op)]
    return f'{type(op).__name__} -> {new.__name__}', lambda: put(new())


def _put(values: list, i: int, new: ast.AST) -> None:
    values[i] = new


def _setter(node: ast.AST, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, name, value)


def run_tests(
    tests: list[str], file: Path, tree: ast.Module | None, seconds: float
) -> bool:
    """Whether all tests pass in a fork of this process, in which a file is changed.

    Args:
        tests: Files and folders.
        file: The file, which this process must not have imported.
        tree: What it is to hold, if not what it holds.
        seconds: After that long the tests count as failed.
    """
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        _run_here(tests, file, tree)
    end, status = time.monotonic() + seconds, None
    while status is None and time.monotonic() < end:
        done, code = os.waitpid(pid, os.WNOHANG)
        status = code if done else time.sleep(0.05)
    if status is None:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return status == 0


def _run_here(tests: list[str], file: Path, tree: ast.Module | None) -> None:
    code = 1
    try:
        import pytest

        with open(os.devnull, 'w') as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        read = SourceFileLoader.get_code

        def get_code(loader: SourceFileLoader, name: str) -> object:
            if tree is not None and Path(loader.path).resolve() == file:
                return compile(tree, str(file), 'exec')
            return read(loader, name)

        SourceFileLoader.get_code = get_code
        options = ('-x', '-q', '-p', 'no:cacheprovider', '-m', 'not slow')
        code = int(pytest.main([*options, *tests]))
    finally:
        os._exit(code)


def main() -> None:
    """Ask the tests of a room about its mutants."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('room', type=Path, help='a folder or file of the package')
    parser.add_argument('--tests', nargs='+', required=True)
    parser.add_argument('--limit', type=int, help='that many mutants, drawn at random')
    parser.add_argument('--minutes', type=float, default=float('inf'))
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/mutants.json'))
    parser.add_argument('--preload', nargs='*', default=PRELOAD, help='modules')
    args = parser.parse_args()
    files = [args.room] if args.room.is_file() else sorted(args.room.rglob('*.py'))
    for path in (*map(Path, args.tests), *(files or [args.room])):
        if not path.exists() or not files:
            parser.error(f'{path} is no folder or file of Python')
    listed = [(f.resolve(), m) for f in files for m in mutants(f.read_text())]
    if args.limit is not None and args.limit < len(listed):
        listed = random.Random(args.seed).sample(listed, args.limit)
    for name in args.preload:
        importlib.import_module(name)
    end = time.monotonic() + 60 * args.minutes
    known = json.loads(args.out.read_text()) if args.out.exists() else {}
    begun = time.monotonic()
    if not run_tests(args.tests, files[0].resolve(), None, 3600):
        sys.exit('error: the tests fail without a mutant')
    limit = 10 + 3 * (time.monotonic() - begun)
    killed, survivors = 0, []
    for file, (line, what, tree) in listed:
        content = hashlib.sha1(ast.dump(tree).encode()).hexdigest()
        key = f'{os.path.relpath(file)}:{line} {what} {content[:12]}'
        if key not in known:
            if time.monotonic() > end:
                continue
            known[key] = 'survived' if run_tests(args.tests, file, tree, limit) else ''
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(known, indent=1))
        if known[key]:
            survivors.append(f'{key.rpartition(" ")[0]}: {_line(file, line)}')
        else:
            killed += 1
    asked = killed + len(survivors)
    print(*survivors, sep='\n')
    share = f' ({100 * killed / asked:.1f} per cent)' if asked else ''
    print(f'{killed} of {asked} mutants killed{share}, {len(listed) - asked} not asked')


def _line(file: Path, line: int) -> str:
    return file.read_text().splitlines()[line - 1].strip()


if __name__ == '__main__':
    main()
