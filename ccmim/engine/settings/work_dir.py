"""Check that the work dir of a run is writable and not in use."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from ccmim.checkpoints.resume import POINTER
from ccmim.checkpoints.shards import remove_checkpoint
from ccmim.data.bad_files import BAD_FILES
from ccmim.data.paths import RUN_DEBUG
from ccmim.engine.hooks.pictures import FOLDER as PICTURES
from ccmim.engine.hooks.start import StartHook
from ccmim.engine.settings.processes import on_main
from ccmim.engine.signals.run_lock import RunLock
from ccmim.files import refuse_link

_OF_A_RUN = re.compile(r'(epoch_\d+|iter_\d+|epoch_\d+_iter_\d+|best_.+)\.pth')
_SESSION = re.compile(r'\d{8}_\d{6}')


@contextmanager
def claim_work_dir(
    cfg: Config, start: StartHook, overwrite: bool = False
) -> Iterator[None]:
    """Keep the work dir for this run, while the context lasts.

    It is made if it is missing, and removed again if nothing was trained. Checkpoints,
    logs and pictures of an earlier run stay until the first step of the new one is
    done.

    Args:
        cfg: The config; its ``work_dir`` and ``resume`` count.
        start: Hook of the run.
        overwrite: Whether the run takes the place of one that is there.

    Raises:
        ValueError: If the folder cannot be written to, is used by another run, or holds
            one that is neither resumed nor overwritten.
    """
    folder = Path(cfg.work_dir)
    lock = RunLock(folder)
    made = on_main(lambda: _claim(folder, lock, overwrite or bool(cfg.get('resume'))))
    if is_main_process() and overwrite:
        start.after_first_step.append(lambda: _remove_run(folder, start))
    try:
        yield
    finally:
        lock.release()
        kept = (folder / BAD_FILES).exists()  # the reason why the run was given up
        if made and not start.started and not kept and is_main_process():
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # another run has begun in one of them
                for parent in made[1:]:
                    parent.rmdir()


def files_of_a_run(folder: str | Path) -> list[Path]:
    """List the checkpoints of a folder, the last one first, and what points to them."""
    folder = Path(folder)
    files = [p for p in folder.glob('*.pth') if _OF_A_RUN.fullmatch(p.name)]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return files + [p for p in [folder / POINTER] if p.is_file()]


def _claim(folder: Path, lock: RunLock, may_hold_a_run: bool) -> list[Path]:
    """Take the folder; return which folders were made, the innermost first."""
    for name in (PICTURES, RUN_DEBUG):
        refuse_link(folder / name)
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        lock.take()
    except (FileExistsError, NotADirectoryError):
        raise ValueError(
            f'--work-dir {folder} is not a folder: a file stands in its place'
        ) from None
    except OSError as error:
        raise ValueError(
            f'cannot write to --work-dir {folder} ({error.strerror}): give another one'
        ) from None
    files = files_of_a_run(folder)
    if files and not may_hold_a_run:
        lock.release()
        raise ValueError(
            f'{folder} holds a run ({files[0].name}): give --resume to continue, '
            '--overwrite to start again, or another --work-dir'
        )
    return missing


def _remove_run(folder: Path, start: StartHook) -> None:
    for file in [*files_of_a_run(folder), *(folder / PICTURES).glob('epoch_*.png')]:
        remove_checkpoint(file)
    current = start.runner and start.runner.timestamp
    for log in folder.glob('*/*.log'):
        if log.stem == log.parent.name != current and _SESSION.fullmatch(log.stem):
            shutil.rmtree(log.parent, ignore_errors=True)
