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
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest

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
        found = self.tests.get((str(file), function)) if function else None
        cost = Counter[str]()
        for test in found or self.seconds:
            cost[test.partition('::')[0]] += self.seconds[test]
        return sorted(
            found or self.seconds,
            key=lambda t: (cost[t.partition('::')[0]], t.partition('::')[0]),
        )


class _Watch:
    """Notes which test calls which function of some files, and how long it takes."""

    def __init__(self, files: Collection[Path]) -> None:
        self._files = {str(file) for file in files}
        self._now = ''
        self._calls: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._seconds = Counter[str]()
        self._all: list[str] = []

    def _trace(self, frame: FrameType, event: str, arg: object) -> None:
        code = frame.f_code
        if code.co_filename in self._files:
            self._calls[self._now].add((code.co_filename, code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now, begun = item.nodeid, time.monotonic()
        self._all.append(item.nodeid)
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            self._seconds[item.nodeid] += time.monotonic() - begun

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
        for name, found in self._calls.items():
            whole = '::' not in name
            ids = [t for t in self._all if whole and t.startswith(f'{name}::')]
            for where in found:
                calls[where] += ids or [name]
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
        self._place = {name: i for i, name in enumerate(chosen)}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        yield
        chosen = [item for item in items if item.nodeid in self._place]
        items[:] = sorted(chosen, key=lambda item: self._place[item.nodeid])


def watch(tests: Sequence[str], files: Collection[Path]) -> Known:
    """Run tests without a mutant, and note what they call.

    Raises:
        RuntimeError: If one fails, with what pytest says.
    """
    with tempfile.TemporaryDirectory() as folder:
        notes, plugin = Path(folder) / 'notes.json', _Watch(files)
        said = Path(folder) / 'said.txt'

        def run() -> int:
            code = _run(tests, plugin)
            plugin.write(notes)
            return code

        if not _forked(run, 3600, said):
            raise RuntimeError(said.read_text()[-4000:])
        seconds, calls, modules = json.loads(notes.read_text())
    return Known(seconds, {(f, n): set(ids) for (f, n), ids in calls}, modules)


def passes(chosen: Sequence[str], file: Path, tree: ast.Module, seconds: float) -> bool:
    """Whether tests pass in a fork of this process, in which a file is changed.

    Args:
        chosen: Their names.
        file: The file, which this process must not have imported.
        tree: What it is to hold.
        seconds: After that long the tests count as failed.
    """

    def run() -> int:
        _change(file, tree)
        return _run(
            list(dict.fromkeys(t.partition('::')[0] for t in chosen)), _Choice(chosen)
        )

    return _forked(run, seconds)


def _change(file: Path, tree: ast.Module) -> None:
    read = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> object:
        if Path(loader.path).resolve() == file:
            return compile(tree, str(file), 'exec')
        return read(loader, name)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]


def _run(paths: Sequence[str], plugin: object) -> int:
    return int(pytest.main([*OPTIONS, *paths], plugins=[plugin]))


def _forked(
    run: Callable[[], int], seconds: float, said: str | Path = os.devnull
) -> bool:
    """Whether a function returns 0 in a fork of this process within some seconds."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setpgid(0, 0)
            with open(said, 'w') as text:
                os.dup2(text.fileno(), 1)
                os.dup2(text.fileno(), 2)
            code = run()
        finally:
            os._exit(code)
    end, status = time.monotonic() + seconds, None
    while status is None and time.monotonic() < end:
        done, code = os.waitpid(pid, os.WNOHANG)
        status = code if done else time.sleep(0.02)
    if status is None:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return status == 0
