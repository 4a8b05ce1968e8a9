"""Commands of an experiment that are run once."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ccmim.engine.version import this_version
from ccmim.files import open_own, say, write_file

_PROGRESS = re.compile(r'\((train|test)\)\s+((?:\[ *\d+/?\d*\])+).*?eta: (\S+)')
_MADE_BY = 'Made by ccmim '
_LOSS = re.compile(r' loss: (\S+)')


@dataclass(frozen=True, eq=False)
class Stage:
    """One command of this project, and the file that shows that it was done.

    Attributes:
        name: What a person calls it, short.
        command: A script of the checkout and its arguments.
        result: File that the command makes, in a folder of its stage alone.
        depends: What the result depends on beside the command: name the inputs.
        content: What the inputs hold, in short. What was done before this was noted
            counts as done with any.
        after: Stages of other chains that must be done before.
    """

    name: str
    command: Sequence[object]
    result: Path
    depends: str = ''
    content: str = ''
    after: Sequence['Stage'] = ()

    @property
    def is_ready(self) -> bool:
        """Whether what it needs of other chains is done."""
        return all(stage.is_done for stage in self.after)

    @property
    def log(self) -> Path:
        """What the command printed."""
        return self.result.parent / f'{Path(str(self.command[0])).stem}.log'

    @property
    def is_done(self) -> bool:
        """Whether the result is there, made by the same command."""
        return self._mark in self._texts('done') and self.result.exists()

    def begin(self) -> None:
        """Make the folder; move it aside first if its settings differ."""
        ours = ('', *self._texts('begun'), *self._texts('done'))
        if self._is_training and self._mark not in ours:
            _move_aside(self.result.parent)  # nothing to resume from
        self.result.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._stamp, self._texts('begun')[-1])

    def finish(self) -> None:
        """Mark the result as complete, with the version of ccmim that made it."""
        with open(self.log, 'a', opener=open_own) as file:
            file.write(f'{_MADE_BY}{this_version()}\n')
        write_file(self._stamp, self._texts('done')[-1])

    @property
    def version(self) -> str:
        """Version and commit of ccmim that made the result; empty if not known."""
        if not (self.is_done and self.log.exists()):
            return ''
        last = self.log.read_text(errors='replace').splitlines()[-1:]
        return ''.join(last).partition(_MADE_BY)[2]

    def status(self) -> str:
        """Return the latest progress in the log, shortened; empty if there is none."""
        if not self.log.exists():  # a copy that has hardly begun
            return ''
        lines = self.log.read_text(errors='replace').splitlines()[-5:]
        for line in reversed(lines):
            if match := _PROGRESS.search(line):
                loss = _LOSS.search(line)
                text = f'{match[1]} {match[2]}, {match[3]} to go'
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

    def _texts(self, word: str) -> list[str]:
        """What the stamp says: as it was before contents were noted, and as it is."""
        text = ' '.join(map(str, (word, *self.command, self.depends)))
        return [text, f'{text}\n{self.content}']


def _move_aside(folder: Path) -> None:
    names = (f'{folder.name}.old{n if n > 1 else ""}' for n in count(1))
    free = next(path for path in map(folder.with_name, names) if not path.exists())
    folder.rename(free)
    say(f'  {folder} is of other settings: moved to {free.name}')


def shown(command: Sequence[object]) -> str:
    """Return a command as a person in the checkout would type it."""
    here = f'{Path.cwd()}/'
    return shlex.join(['python', *(str(word).removeprefix(here) for word in command)])
