"""Commands of an experiment that are run once, side by side where they can be."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROGRESS = re.compile(r'\((train|test)\)\s+((?:\[ *\d+/?\d*\])+).*?eta: (\S+)')
_LOSS = re.compile(r' loss: (\S+)')
_LOOK = 0.3  # seconds from one look at the processes to the next
_LINE = 10.0  # seconds from one line to the next where there is no terminal
_GRACE = 60.0  # seconds that an interrupted training has to save


class StageError(Exception):
    """A command failed; the text holds the end of its log."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One command of this project, and the file that shows that it was done.

    Attributes:
        name: What a person calls it, short.
        command: A script of the checkout and its arguments.
        result: File that the command makes, in a folder of its stage alone.
        depends: What the result depends on beside the command: name the inputs.
    """

    name: str
    command: Sequence[object]
    result: Path
    depends: str = ''

    @property
    def log(self) -> Path:
        """What the command printed."""
        return self.result.parent / f'{Path(str(self.command[0])).stem}.log'

    @property
    def is_done(self) -> bool:
        """Whether the result is there, made by the same command."""
        return self._mark == self._text('done') and self.result.exists()

    def begin(self) -> None:
        """Make the folder; empty it first if it is of other settings."""
        ours = ('', self._text('begun'), self._text('done'))
        if self._is_training and self._mark not in ours:
            shutil.rmtree(self.result.parent)  # nothing to go on from
        self.result.parent.mkdir(parents=True, exist_ok=True)
        self._stamp.write_text(self._text('begun'))

    def finish(self) -> None:
        """Note that the result is good."""
        self._stamp.write_text(self._text('done'))

    def status(self) -> str:
        """Give the newest progress in the log, short; empty if there is none."""
        lines = self.log.read_text(errors='replace').splitlines()[-5:]
        for line in reversed(lines):
            if found := _PROGRESS.search(line):
                loss = _LOSS.search(line)
                text = f'{found[1]} {found[2]}, {found[3]} to go'
                return text + (f', loss {loss[1]}' if loss else '')
        return ''

    @property
    def _is_training(self) -> bool:
        return Path(str(self.command[0])).stem == 'train'

    @property
    def _stamp(self) -> Path:
        return self.log.with_suffix('.stamp')

    @property
    def _mark(self) -> str:
        return self._stamp.read_text() if self._stamp.exists() else ''

    def _text(self, word: str) -> str:
        return ' '.join(map(str, (word, *self.command, self.depends)))


def run_stages(stages: Sequence[Stage], folder: Path) -> None:
    """Run the stages that are not done, all at a time, sharing the cores.

    Small models gain little from several threads, so two runs beside each other are
    nearly twice as fast as one after the other.

    Args:
        stages: None of them needs the result of another.
        folder: Where the commands are run: the checkout.

    Raises:
        StageError: If one fails; the others are asked to save and stop.
    """
    todo = [stage for stage in stages if not stage.is_done]
    for stage in stages:
        print(f'{stage.name}: done before' if stage not in todo else stage.name)
        if stage in todo:
            print(f'  {shown(stage.command)}', flush=True)
    if not todo:
        return
    threads = max(1, len(os.sched_getaffinity(0)) // len(todo))
    started = time.time()
    running: dict[Stage, subprocess.Popen] = {}
    try:
        for stage in todo:
            stage.begin()
            env = {'OMP_NUM_THREADS': str(threads), **os.environ}
            running[stage] = _start(stage, folder, env)
        _wait(running)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            _reap(process)
    print(f'{_clear()}  took {time.time() - started:.0f} s', flush=True)


def shown(command: Sequence[object]) -> str:
    """Give a command as a person in the checkout would type it."""
    here = f'{Path.cwd()}/'
    return shlex.join(['python', *(str(word).removeprefix(here) for word in command)])


def _start(stage: Stage, folder: Path, env: Mapping[str, str]) -> subprocess.Popen:
    with stage.log.open('w') as log:
        return subprocess.Popen(
            [sys.executable, '-W', 'ignore', *map(str, stage.command)],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _wait(running: Mapping[Stage, subprocess.Popen]) -> None:
    said, said_at = '', 0.0
    finished: set[Stage] = set()
    while len(finished) < len(running):
        time.sleep(_LOOK)
        for stage, process in running.items():
            if stage in finished or process.poll() is None:
                continue
            if process.returncode:
                end = '\n'.join(stage.log.read_text().splitlines()[-15:])
                raise StageError(f'{stage.name} failed; the end of {stage.log}:\n{end}')
            stage.finish()
            finished.add(stage)
        status = ' | '.join(s.status() for s in running if s not in finished)
        pause = 1.0 if sys.stdout.isatty() else _LINE
        if status.strip(' |') and status != said and time.time() - said_at >= pause:
            end = '' if sys.stdout.isatty() else '\n'
            print(f'{_clear()}  {status}', end=end, flush=True)
            said, said_at = status, time.time()


def _reap(process: subprocess.Popen) -> None:
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


def _clear() -> str:
    return '\r\x1b[K' if sys.stdout.isatty() else ''
