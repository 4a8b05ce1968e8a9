"""Check that the checkpoints of a run fit on the disk."""

import logging
import shutil
import sys
import threading

from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn

from ccmim.checkpoints.shards import files_of
from ccmim.engine.settings.processes import on_main
from ccmim.engine.settings.work_dir import files_of_a_run
from ccmim.files import WriteError, drop_unwritable, is_no_room

_MOMENTS = 2  # what AdamW keeps of each trained value, in float32


def check_space(runner: Runner) -> None:
    """Compare the free space of the work dir with the checkpoints to come.

    Warns if not all that are kept will fit. Checkpoints of the folder count as free, as
    new ones take their place.

    Args:
        runner: A run that has not begun.

    Raises:
        ValueError: If not even one checkpoint fits.
    """
    on_main(lambda: _check(runner))


def checkpoint_bytes(model: nn.Module) -> int:
    """Estimate the size of a checkpoint: the model and the state of AdamW."""
    state = sum(v.nbytes for v in model.state_dict().values())
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    return state + _MOMENTS * trained


def _check(runner: Runner) -> None:
    size, free = checkpoint_bytes(runner.model), shutil.disk_usage(runner.work_dir).free
    if free < size:
        raise ValueError(
            f'a checkpoint needs {_gb(size)}, and {_gb(free)} are free at '
            f'{runner.work_dir}: free some space, or give another --work-dir'
        )
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    kept = max((hook.max_keep_ckpts for hook in hooks), default=0)
    old = sum(
        path.stat().st_size
        for file in files_of_a_run(runner.work_dir)
        for path in files_of(file)
    )
    # A new one is written before the oldest is deleted.
    needed = (kept + 1) * size
    if kept > 0 and free + old < needed:
        print_log(
            f'{kept} checkpoints and the one being written need {_gb(needed)}, and '
            f'{_gb(free)} are free at {runner.work_dir}: the run will stop when the '
            'disk is full',
            logger='current',
            level=logging.WARNING,
        )


def _gb(size: float) -> str:
    return f'{size / 1e9:.2g} GB'


def stop_at_full_disk() -> None:
    """End this process when a log cannot be written, instead of warning every line.

    On the screen as in a file: its output may go to a disk as well.
    """
    logging.StreamHandler.handleError = _handle_error  # type: ignore[method-assign]

    # TensorBoard writes in a thread of its own.
    def of_threads(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or not is_no_room(args.exc_value):
            threading.__excepthook__(args)

    threading.excepthook = of_threads


def _handle_error(handler: logging.StreamHandler, record: logging.LogRecord) -> None:
    error = sys.exc_info()[1]
    if isinstance(error, BrokenPipeError):  # ... | head: the file has all lines
        drop_unwritable(handler.stream)
        return
    if not isinstance(error, OSError) or not is_no_room(error):
        logging.Handler.handleError(handler, record)
        return
    handler.setLevel(logging.CRITICAL + 1)  # the rest is seen elsewhere
    name = getattr(handler, 'baseFilename', 'the standard output')
    raise WriteError(f'cannot write {name}: {error.strerror}')
