"""Read a run from its work dir, for any OpenMMLab project."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from os.path import commonpath
from pathlib import Path
from typing import Any, NamedTuple

from ccmim.apps.runs.config import parse_config
from ccmim.apps.runs.files import is_own, own_text
from ccmim.apps.runs.log import LogFacts, read_log
from ccmim.apps.runs.pictures import Strip, find_pictures
from ccmim.apps.runs.scalars import History, in_percent, merge, numbers, read_lines
from ccmim.data.bad_files import BAD_FILES

_SESSION = re.compile(r'\d{8}_\d{6}')
_DEPTH = 3  # folders below a given one that are searched for runs


class Run(NamedTuple):
    """A run as a reader wants to see it.

    Attributes:
        name: What the report calls it.
        folder: Where it lies.
        history: Curves and test results.
        config: Recorded settings; empty if there are none.
        config_text: The same as they were written.
        begin: When it was started first; None if no log says so.
        seconds: How long it trained, without the pauses between sessions.
        sessions: How often training was started.
        environment: Versions and devices of the newest training.
        bad_files: Images it could not use.
        checkpoints: Names of the saved states.
        pictures: What it drew.
    """

    name: str
    folder: Path
    history: History
    config: Mapping[str, Any]
    config_text: str
    begin: datetime | None
    seconds: float
    sessions: int
    environment: Mapping[str, str]
    bad_files: Sequence[str]
    checkpoints: Sequence[str]
    pictures: Sequence[Strip]

    @property
    def last_step(self) -> int:
        """Count the steps that are logged."""
        curves = self.history.training.values()
        return max((int(curve.steps[-1]) for curve in curves), default=0)

    @property
    def planned_steps(self) -> int:
        """Count the steps that were asked for; 0 if that is not known."""
        cfg = self.config.get('train_cfg')
        if not isinstance(cfg, Mapping):
            return 0
        length = self.history.epoch_length
        iters, epochs = cfg.get('max_iters'), cfg.get('max_epochs')
        if isinstance(iters, int) and iters > 0:
            return iters
        return length * epochs if isinstance(epochs, int) and epochs > 0 else 0

    @property
    def is_finished(self) -> bool:
        """Whether all planned steps are done."""
        cfg = self.config.get('train_cfg')
        cfg = cfg if isinstance(cfg, Mapping) else {}
        ends = {
            f'epoch_{cfg.get("max_epochs")}.pth',
            f'iter_{cfg.get("max_iters")}.pth',
        }
        return bool(ends & set(self.checkpoints)) or (
            0 < self.planned_steps <= self.last_step
        )


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the runs in some folders.

    Args:
        folders: Work dirs, or folders of work dirs such as that of a comparison.

    Returns:
        A run each, named by what distinguishes its folder.

    Raises:
        ValueError: If a folder does not exist or holds no run.
    """
    unique: dict[Path, None] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f'{folder} is no folder: give the work dir of a run')
        runs = _below(folder.resolve(), _DEPTH)
        if not runs:
            raise ValueError(
                f'{folder} holds no run: give a work dir, in which training has made '
                'a folder such as 20260131_235959'
            )
        unique |= dict.fromkeys(runs)
    paths = list(unique)
    names = _names(paths)
    return [read_run(path, names[i]) for i, path in enumerate(paths)]


def read_run(folder: Path, name: str) -> Run:
    """Read what a run has left, however much that is.

    Args:
        folder: The work dir.
        name: What to call the run.

    Returns:
        The run.
    """
    sessions = _sessions(folder)
    lines = [_lines(session) for session in sessions]
    trained = [
        session
        for session, rows in zip(sessions, lines, strict=True)
        if any('iter' in row or 'lr' in row for row in rows)
    ]
    history = merge(lines)
    tests = [path for s in sessions for path in s.glob('*.json')]
    for file in (*tests, folder / 'metrics.json'):
        history.tests.update(_result(own_text(file, folder)))
    text = _config_text(folder, trained or sessions)
    logs = [_log(session) for session in trained]
    timed = [log for log in logs if log.begin and log.end]
    return Run(
        name=name,
        folder=folder,
        history=history,
        config=parse_config(text),
        config_text=text,
        begin=timed[0].begin if timed else None,
        seconds=sum((log.end - log.begin).total_seconds() for log in timed),
        sessions=len(trained),
        environment=next(
            (log.environment for log in logs[::-1] if log.environment), {}
        ),
        bad_files=own_text(folder / BAD_FILES, folder).splitlines(),
        checkpoints=sorted(
            (file.name for file in folder.glob('*.pth')),
            key=lambda name: [int(n[:18]) for n in re.findall(r'\d+', name)],
        ),
        pictures=find_pictures(folder),
    )


def _sessions(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and _SESSION.fullmatch(path.name)
    )


def _below(folder: Path, depth: int) -> list[Path]:
    if _sessions(folder):
        return [folder]
    if not depth:
        return []
    children = sorted(path for path in folder.iterdir() if path.is_dir())
    return [run for child in children for run in _below(child, depth - 1)]


def _names(paths: Sequence[Path]) -> list[str]:
    if len(paths) == 1:
        return [paths[0].name]
    parts = [list(path.relative_to(commonpath(paths)).parts) for path in paths]
    while len({p[-1] for p in parts}) == 1 and all(len(p) > 1 for p in parts):
        parts = [p[:-1] for p in parts]  # a name that all share adds nothing
    return ['/'.join(p) for p in parts]


def _lines(session: Path) -> list[dict[str, float]]:
    file = session / 'vis_data' / 'scalars.json'
    if not file.is_file():
        others = sorted((session / 'vis_data').glob('*.json'))
        if not others:
            return []
        file = others[-1]
    return read_lines(file) if is_own(file, session) else []


def _result(text: str) -> dict[str, float]:
    try:
        values = json.loads(text or '{}')
    except (ValueError, RecursionError):
        return {}
    values = numbers(values) if isinstance(values, dict) else {}
    names = [key for key in values if key not in ('time', 'data_time')]
    return {name: in_percent(name, values[name]) for name in names}


def _log(session: Path) -> LogFacts:
    file = session / f'{session.name}.log'
    return read_log(file) if is_own(file, session) else LogFacts(None, None, {})


def _config_text(folder: Path, sessions: Sequence[Path]) -> str:
    recorded = [s / 'vis_data' / 'config.py' for s in sessions[::-1]]
    files = [*recorded, *sorted(folder.glob('*.py'))]
    texts = (own_text(file, folder) for file in files)
    return next((text for text in texts if text), '')
