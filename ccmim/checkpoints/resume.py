"""Choose the checkpoint from which an interrupted run resumes."""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from ccmim.checkpoints.verify import verify_checkpoint
from ccmim.files import WriteError, write_file

POINTER = 'last_checkpoint'
DAMAGED = '.corrupt'  # appended to the names of damaged files
_LONGEST = 8192  # bytes of a path
_OF_A_RUN = re.compile(r'(epoch|iter)_\d+(_iter_\d+)?\.pth')


class ResumeError(ValueError):
    """A run cannot resume from a checkpoint as it is asked to."""


def choose_resume(work_dir: str | Path, file: str | Path | None = None) -> str | None:
    """Find the checkpoint to resume from, verify it, and say so.

    The main process looks, all processes get its answer.

    Args:
        work_dir: Folder of the run.
        file: The one to take; by default the newest good one of the folder.

    Returns:
        Path of the checkpoint, None if the folder never held one.

    Raises:
        ValueError: If the file is damaged or missing, or the folder holds checkpoints
            but no good one.
    """
    answer: list[Any] = [None, None]
    if is_main_process():
        try:
            if file is None:
                answer[0] = _newest_good(Path(work_dir))
            else:
                verify_checkpoint(file)
                answer[0] = str(file)
        except (OSError, ValueError) as error:
            answer[1] = str(error)
    broadcast_object_list(answer)
    path, error_text = answer
    if error_text:
        raise ValueError(error_text)
    return path


def _newest_good(work_dir: Path) -> str | None:
    candidates = _newest_first(work_dir)
    bad: list[Path] = []
    reasons = []
    for path in candidates:
        try:
            verify_checkpoint(path)
        except (OSError, ValueError) as error:
            bad.append(path)
            reasons.append(str(error))
            continue
        for other in bad:
            # A link is renamed itself, what it leads to is not touched.
            other.rename(f'{other}{DAMAGED}')
        text = f'Resuming from {path}, which is complete'
        if bad:
            text += f' (the newer ones are not: {"; ".join(reasons)})'
        _say(text, logging.WARNING if bad else logging.INFO)
        if _pointed_to(work_dir) != path:  # killed before it was written, or damaged
            with suppress(WriteError):
                write_file(work_dir / POINTER, str(path))
        return str(path)
    if bad:
        raise ValueError(
            f'no checkpoint of {work_dir} can be used: {"; ".join(reasons)}. '
            'Start again in another --work-dir'
        )
    if os.path.lexists(work_dir / POINTER):
        raise ValueError(
            f'{work_dir / POINTER} is there, but no checkpoint. Give its path after '
            '--resume, or start again in another --work-dir'
        )
    _say(f'Nothing to resume in {work_dir}: starting at 0', logging.INFO)
    return None


def _newest_first(work_dir: Path) -> list[Path]:
    """Sort by the numbers in the names: copying a folder changes the times.

    Files that the pointer skips, written before it, are of another attempt that was
    given up: they come last.
    """
    files = {p for p in work_dir.glob('*.pth') if _OF_A_RUN.fullmatch(p.name)}
    pointer = work_dir / POINTER
    last = _pointed_to(work_dir)
    if last:
        files.add(last)

    def given_up(path: Path) -> bool:
        return (
            last is not None
            and _numbers(path) > _numbers(last)
            and path.stat().st_mtime_ns < pointer.stat().st_mtime_ns
        )

    return sorted(
        files, key=lambda path: (not given_up(path), _numbers(path)), reverse=True
    )


def _pointed_to(work_dir: Path) -> Path | None:
    """Return the checkpoint of the folder that the pointer names, if any.

    Its folder does not count: it may have been moved since, and nothing outside of the
    work dir is a checkpoint of the run.
    """
    try:
        with (work_dir / POINTER).open('rb') as file:
            text = file.read(_LONGEST).decode().strip()
    except (OSError, UnicodeDecodeError):  # none, a loop of links, or damaged
        return None
    name = text.replace('\\', '/').rpartition('/')[2]
    path = work_dir / name
    is_name = name.isprintable() and name.endswith('.pth')
    return path if is_name and path.is_file() else None


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r'\d+', path.stem)]


def _say(text: str, level: int) -> None:
    print_log(text, logger='current', level=level)
