"""Run stages in parallel, and show their progress."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

from ccmim.apps.compare.copies import Copy
from ccmim.apps.compare.stages import Stage, shown
from ccmim.files import one_line, open_own, say

_LOOK = 0.3  # seconds from one look at the processes to the next
_LINE = 10.0  # seconds from one line to the next where there is no terminal
_GRACE = 60.0  # seconds that an interrupted training has to save


class StageError(Exception):
    """A command failed; the text holds the end of its log."""


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: by itself it would leave the stages behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once: the stages are given time to save
    raise KeyboardInterrupt


@_ended_by_sigterm()
def run_stages(
    chains: Sequence[Sequence[Stage]],
    folder: Path,
    slots: Sequence[Mapping[str, str]] | None = None,
    prefix: Sequence[str] = (),
    in_copies: bool = False,
) -> None:
    """Run the stages that are not done: the chains side by side, each in order.

    Small models gain little from several threads, so two runs beside each other are
    nearly twice as fast as one after the other. A failure ends its own chain alone;
    SIGTERM ends all, as Ctrl-C does.

    Args:
        chains: Stages that need each other's results, one after the other.
        folder: Where the commands are run: the checkout.
        slots: Environment variables of each place for a running stage, such as
            ``CUDA_VISIBLE_DEVICES``; as many places as chains by default. The
            places share the cores.
        prefix: What stands before each command, such as ``('srun', '-p', 'gpu')``.
        in_copies: Whether to run the scripts in forks of this process, which need not
            import again: see ``Copy`` for when that can be. Without a prefix.

    Raises:
        StageError: If one fails, after the others are done.
    """
    waiting: deque[deque[Stage]] = deque()
    total = sum(len(stages) for stages in chains)
    for stages in chains:
        chain = deque(stages)
        # What comes after a stage that must be run is out of date as well.
        while chain and chain[0].is_done and chain[0].is_ready:
            say(f'{chain.popleft().name}: done before')
        if chain:
            waiting.append(chain)
    numbers = count(total - sum(len(chain) for chain in waiting) + 1)
    free = deque(slots if slots is not None else [{}] * len(waiting))
    cores = len(os.sched_getaffinity(0))
    threads = max(1, cores // max(1, min(len(free), len(waiting))))
    base = {'OMP_NUM_THREADS': str(threads), **os.environ}
    running: list[_Running] = []
    failures: list[str] = []
    watch = _Watch()
    try:
        while waiting or running:
            while free and (chain := _next_ready(waiting)):
                waiting.remove(chain)
                slot = free.popleft()
                env = {**base, **slot}
                start = (
                    partial(Copy, cwd=folder, env=env)
                    if in_copies
                    else partial(_process, cwd=folder, env=env, prefix=prefix)
                )
                print(f'Stage {next(numbers)} of {total}: ', end='')
                running.append(_Running(chain, slot, start))
            if not running:
                break  # what the others wait for has failed
            time.sleep(_LOOK)
            for run in [run for run in running if run.process.poll() is not None]:
                running.remove(run)
                free.append(run.slot)
                # In a job of Slurm a training that was stopped ends with 0 too.
                if run.process.returncode or not run.stage.result.exists():
                    failures.append(run.failure())
                    continue
                watch.say(run.finish())
                if run.rest:
                    waiting.appendleft(run.rest)
            watch.show([run.status() for run in running])
    finally:
        for run in running:
            run.process.terminate()
        for run in running:
            run.reap()
    if failures:
        raise StageError('\n'.join(failures))


def _next_ready(waiting: deque[deque[Stage]]) -> deque[Stage] | None:
    return next((chain for chain in waiting if chain[0].is_ready), None)


def _process(
    command: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    prefix: Sequence[str],
) -> subprocess.Popen:
    with open(log, 'w', opener=open_own) as file:
        return subprocess.Popen(
            [*prefix, sys.executable, '-W', 'ignore', *command],
            cwd=cwd,
            env=dict(env),
            stdout=file,
            stderr=subprocess.STDOUT,
        )


class _Running:
    """A stage whose process runs, and those of its chain that come after it."""

    def __init__(
        self, chain: deque[Stage], slot: Mapping[str, str], start: Callable[..., Any]
    ) -> None:
        self.stage, self.rest, self.slot = chain.popleft(), chain, slot
        self._started = time.time()
        say(self.stage.name, f'  {shown(self.stage.command)}')
        self.stage.begin()
        command = [str(word) for word in self.stage.command]
        self.process = start(command, log=self.stage.log)

    def status(self) -> str:
        """What is seen of it: its steps, before them for how long it has run."""
        if known := self.stage.status():
            return f'{self.stage.name}: {known}'
        seconds = time.time() - self._started
        return f'{self.stage.name}: {seconds:.0f} s' if seconds >= _LINE else ''

    def finish(self) -> str:
        self.stage.finish()
        return f'{self.stage.name} took {time.time() - self._started:.0f} s'

    def failure(self) -> str:
        lines = self.stage.log.read_text(errors='replace').splitlines()
        if lines and lines[-1].startswith('error: '):  # reported in one line
            return one_line(f'{self.stage.name}: {lines[-1]} (log: {self.stage.log})')
        title = f'{self.stage.name} failed; the end of {self.stage.log}:'
        return '\n'.join(map(one_line, [title, *lines[-15:]]))

    def reap(self) -> None:
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()


class _Watch:
    """One line that is written over, or a line now and then without a terminal."""

    def __init__(self) -> None:
        self._shown, self._shown_at = '', 0.0
        self._live = sys.stdout.isatty()

    def show(self, states: Sequence[str]) -> None:
        text = ' | '.join(state for state in states if state)
        pause = 1.0 if self._live else _LINE
        if text and text != self._shown and time.time() - self._shown_at >= pause:
            self.say(f'  {text}', end='' if self._live else '\n')
            self._shown, self._shown_at = text, time.time()

    def say(self, text: str, end: str = '\n') -> None:
        print(('\r\x1b[K' if self._live else '') + one_line(text), end=end, flush=True)
