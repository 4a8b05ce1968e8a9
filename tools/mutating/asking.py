"""Run tests in a fork of this process, in which a file of the package is changed."""

import ast
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType
from typing import NamedTuple, TypeVar

import pytest

Key = TypeVar('Key')

OPTIONS = ('-x', '-q', '-p', 'no:cacheprovider', '-m', 'not slow')


class Known(NamedTuple):
    """What the tests did without a mutant.

    Attributes:
        seconds: Of each test.
        tests: Those that call a function, by its file and the line of its code.
        modules: The libraries that they imported, in their order.
    """

    seconds: dict[str, float]
    tests: dict[tuple[str, int], set[str]]
    modules: list[str]

    def of(self, file: Path, function: int) -> list[str]:
        """List the tests of a function, the quickest files first; all if none calls it.

        What stands outside of functions belongs to all tests.
        """
        chosen = self.tests.get((str(file), function)) if function else None
        cost = Counter[str]()
        for test in chosen or self.seconds:
            cost[test.partition('::')[0]] += self.seconds[test]
        return sorted(
            chosen or self.seconds,
            key=lambda t: (cost[t.partition('::')[0]], t.partition('::')[0]),
        )


class _Watch:
    """Notes which test calls which function of some files, and how long it takes."""

    def __init__(self, files: Collection[Path], log: Path) -> None:
        self._files = {str(file) for file in files}
        self._log = log  # of calls, in forks too
        self._log.touch()
        self._now = ''
        self._calls: set[tuple[str, str, int]] = set()
        self._seconds = Counter[str]()
        self._all: list[str] = []

    def _trace(self, frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        call = self._now, code.co_filename, code.co_firstlineno
        if code.co_filename in self._files and call not in self._calls:
            with suppress(OSError):  # a test may limit the size of files
                with self._log.open('a') as log:
                    log.write(json.dumps(call) + '\n')
                self._calls.add(call)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now, started = item.nodeid, time.monotonic()
        self._all.append(item.nodeid)
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            self._seconds[item.nodeid] += time.monotonic() - started

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: object, request: object) -> Iterator:
        """What a fixture of a file calls belongs to all tests of the file."""
        now = self._now
        if getattr(fixturedef, 'scope', '') != 'function':
            self._now = now.partition('::')[0]
        try:
            return (yield)
        finally:
            self._now = now

    def write(self, file: Path) -> None:
        calls = defaultdict(list)
        for name, *where in map(json.loads, self._log.read_text().splitlines()):
            whole = '::' not in name
            ids = [t for t in self._all if whole and t.startswith(f'{name}::')]
            calls[tuple(where)] += ids or [name]
        files = {n: getattr(m, '__file__', None) or '' for n, m in sys.modules.items()}
        here = f'{Path.cwd()}/'  # which may hold the libraries
        modules = [
            name
            for name, path in files.items()
            if path and (not path.startswith(here) or 'site-packages' in path)
        ]
        file.write_text(json.dumps([self._seconds, [*calls.items()], modules]))


class _Choice:
    """Runs some tests, in an order."""

    def __init__(self, chosen: Sequence[str]) -> None:
        self._rank_of = {name: i for i, name in enumerate(chosen)}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        yield
        chosen = [item for item in items if item.nodeid in self._rank_of]
        items[:] = sorted(chosen, key=lambda item: self._rank_of[item.nodeid])


def watch(tests: Sequence[str], files: Collection[Path]) -> Known:
    """Run tests without a mutant, and note what they call.

    Raises:
        RuntimeError: If one fails, with what pytest says.
    """
    with tempfile.TemporaryDirectory() as folder:
        notes, log = Path(folder) / 'notes.json', Path(folder) / 'said.txt'
        plugin = _Watch(files, Path(folder) / 'calls.txt')

        def run() -> int:
            code = _run(tests, plugin)
            plugin.write(notes)
            return code

        if os.waitpid(_fork(run, log), 0)[1]:
            raise RuntimeError(log.read_text()[-4000:])
        seconds, calls, modules = json.loads(notes.read_text())
    return Known(seconds, {(f, n): set(ids) for (f, n), ids in calls}, modules)


class Question(NamedTuple):
    """Whether some tests pass when a file, not imported here yet, holds another tree.

    After so many seconds they count as failed.
    """

    chosen: Sequence[str]
    file: Path
    tree: ast.Module
    seconds: float

    def answer(self) -> int:
        """Run the tests in this process; 0 if they pass."""
        _change(self.file, self.tree)
        paths = dict.fromkeys(test.partition('::')[0] for test in self.chosen)
        return _run(list(paths), _Choice(self.chosen))


def ask(
    questions: Iterator[tuple[Key, Question]], jobs: int
) -> Iterator[tuple[Key, bool]]:
    """Answer questions in forks of this process, some at a time, as they are done."""
    running: dict[int, tuple[Key, float]] = {}
    more = True
    while more or running:
        while more and len(running) < jobs:
            if (pair := next(questions, None)) is None:
                more = False
                break
            key, question = pair
            pid = _fork(question.answer)
            running[pid] = key, time.monotonic() + question.seconds
        time.sleep(0.02)
        for pid, (key, end) in [*running.items()]:
            status = _status(pid, end)
            if status is not None:
                del running[pid]
                yield key, status == 0


def _change(file: Path, tree: ast.Module) -> None:
    read = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> object:
        if Path(loader.path).resolve() == file:
            return compile(tree, str(file), 'exec')
        return read(loader, name)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]


def _run(paths: Sequence[str], plugin: object) -> int:
    return int(pytest.main([*OPTIONS, *paths], plugins=[plugin]))


def _fork(run: Callable[[], int], log: str | Path = os.devnull) -> int:
    """Call a function in a fork, whose exit code is what it returns; its number."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.setpgid(0, 0)
        with open(log, 'w') as text:
            os.dup2(text.fileno(), 1)
            os.dup2(text.fileno(), 2)
        code = run()
    finally:
        os._exit(code)


def _status(pid: int, end: float) -> int | None:
    """How a fork ended, by force if it is time; None while it runs."""
    done, code = os.waitpid(pid, os.WNOHANG)
    if not done and time.monotonic() > end:
        os.killpg(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1]
    return code if done else None
