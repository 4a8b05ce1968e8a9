"""How a command ends: one line for a user error, a traceback for a bug."""

import inspect
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.dist import get_rank, is_distributed
from torch import distributed
from torch.distributed import DistError

from ccmim.data.loader_errors import end_workers, explain
from ccmim.engine.connect import explain_loss, report_failure
from ccmim.engine.hooks.start import StartHook
from ccmim.engine.launchers import RANKS, find_launcher
from ccmim.engine.peers import PeerError
from ccmim.engine.settings.batches import norms_of_one_value
from ccmim.engine.settings.failing_part import being_built
from ccmim.engine.settings.names import arguments_of, did_you_mean, unknown_type
from ccmim.engine.settings.sizes import is_momentum
from ccmim.files import WriteError, drop_unwritable, is_no_room, one_line
from ccmim.operators import InstallError

# Exit codes; 143 and 0 are those of a run that was asked to stop.
STOPPED, MISTAKE, NO_ROOM, INTERRUPTED = 1, 2, 3, 130
# Of the machine, not of the settings.
_OF_THE_MACHINE = re.compile('CUDA error|NCCL error')
_MEMORY = re.compile("can't allocate memory|Cannot allocate memory|not enough memory")
_FILES = re.compile('Too many open files|items of ancdata')
_OF_PYTHON = re.compile(r'values to unpack|^could not convert|^invalid literal')
_PATIENCE = 10.0  # seconds


@contextmanager
def clear_errors(start: StartHook, debug: bool = False) -> Iterator[None]:
    """End the process with one line and a code, where a traceback would not help.

    - 2: a mistake in what was asked for, found before the first step;
    - 1: numbers out of range, a loader that is lost, damaged images; or a
      bug, whose error is left alone;
    - 3: a disk that is full or read-only, or too little memory or open files;
    - 130: Ctrl-C before the run can save.

    Args:
        start: Hook of the run.
        debug: Whether to show the traceback of mistakes as well.

    Raises:
        SystemExit: With the code.
    """
    try:
        yield
    except KeyboardInterrupt:
        if debug:
            raise
        if not start.started:
            print('\nInterrupted before the first step', file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        line, code = explain_loss(error), STOPPED
        is_of_others = bool(line) or isinstance(error, PeerError)
        if not line:
            line, code = _explain(error, start)
        if not is_of_others:
            report_failure(line or f'{type(error).__name__}: {error}')
        if line is None:
            raise
        if debug:
            traceback.print_exc()
        _say(line, wait=code == MISTAKE and not is_of_others)
        if code == NO_ROOM:
            drop_unwritable(sys.stdout)
        if is_distributed() and (code == MISTAKE or is_of_others):
            # Threads of gloo that still connect abort an orderly exit now and then.
            sys.stdout.flush()
            os._exit(code)
        sys.exit(code)
    else:  # after an error others may never come
        if is_distributed():
            # Threads of gloo that are left abort the exit now and then.
            distributed.destroy_process_group()


def _explain(error: Exception, start: StartHook) -> tuple[str | None, int]:
    """The line, None for a bug, and the exit code."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return _too_little_memory(error, start), NO_ROOM
    if isinstance(error, WriteError) or is_no_room(error):
        return _no_room(error, start), NO_ROOM
    if line := _of_limits(error, start):
        return line, NO_ROOM
    if isinstance(error, InstallError | PeerError):
        return str(error), MISTAKE
    if isinstance(error, FloatingPointError):
        return str(error), STOPPED
    if line := explain(error, start.runner and start.runner.train_dataloader):
        end_workers()
        return line, STOPPED
    if not start.started:
        return mistake(error), MISTAKE
    return None, STOPPED


def mistake(error: Exception) -> str | None:
    """Describe in one line what is wrong with the settings.

    Libraries raise anything for a value that does not fit, so all counts as a mistake
    but what is known to come from the machine.

    Args:
        error: Raised before the first step of a run.

    Returns:
        The line; None if the settings are not the cause.
    """
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    if isinstance(error, DistError) or _OF_THE_MACHINE.search(text):
        return None
    if unknown := unknown_type(error):
        return unknown
    text = _one_line(text)
    if isinstance(error, OSError) and error.filename is not None:
        return f'{error.filename}: {error.strerror}'
    part = being_built(error)
    is_clear = isinstance(error, ValueError | OSError | InstallError)
    if is_clear and text and not _OF_PYTHON.search(text):
        return part.full(text) if part else text
    kind = part.kind if part else None
    if unknown := re.search(r"unexpected keyword argument '(\w+)'", text):
        owners = inspect.getmro(kind) if inspect.isclass(kind) else ()
        known = {name for owner in owners for name in arguments_of(owner)}
        if hint := did_you_mean(unknown[1], known):
            # Python guesses too from 3.13 on, by the names of the innermost class.
            text = text.partition('. Did you mean')[0] + hint
    where = f'{part.named()} cannot be built: ' if part else ''
    return f'{where}{type(error).__name__}: {text} (--debug shows where)'


def _of_limits(error: Exception, start: StartHook) -> str | None:
    """Explain which limit of the machine or the system was reached, if any."""
    text = str(error)
    if isinstance(error, MemoryError) or _MEMORY.search(text):
        advice = less_memory(start.runner.cfg if start.runner else Config())
        return (
            'the memory of this machine does not suffice: fewer '
            f'train_dataloader.num_workers; or {advice}'
        )
    if _FILES.search(text):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (
            f'too many files are open, {most} are allowed: raise that by ulimit -n '
            '4096, or set train_dataloader.num_workers=0'
        )
    return None


def _no_room(error: OSError, start: StartHook) -> str:
    text = str(error)
    if not isinstance(error, WriteError):
        text = f'cannot write {error.filename or "a log"}: {error.strerror}'
    hooks = start.runner.hooks if start.runner else ()
    names = (getattr(hook, 'last_ckpt', None) for hook in hooks)
    last = next(filter(None, names), None)
    is_complete = 'last good checkpoint' in text or not start.started
    return (
        text
        if is_complete or not last
        else f'{text}; the last good checkpoint is {last}'
    )


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith('Caught '):  # the traceback of a loader worker
        return lines[-1].partition(': ')[2]
    return '; '.join(lines)[:500]


def _too_little_memory(error: Exception, start: StartHook) -> str:
    sizes = re.findall(r'(?:allocate|capacity of) ([\d.]+ \w+)', str(error))
    tried = f', {sizes[0]} more were needed' if sizes else ''
    of = f' of {sizes[1]}' if len(sizes) > 1 else ''
    runner = start.runner
    step = f' at step {runner.iter + 1}' if runner else ''
    model = getattr(runner, 'model', None)
    least = 1 + bool(model is not None and norms_of_one_value(model))
    advice = less_memory(runner.cfg if runner else Config(), least)
    return f'the GPU memory{of} does not suffice{step}{tried}: {advice}'


def _say(line: str, wait: bool) -> None:
    rank = get_rank() if is_distributed() else _rank_to_be()
    if rank and wait:
        # The main process has found the same mistake, and the launcher ends this one.
        time.sleep(_PATIENCE)
    name = f'error of process {rank}' if rank else 'error'
    # Much comes from files: they write no line of their own, and no color.
    print(f'{name}: {one_line(line)}', file=sys.stderr, flush=True)


def _rank_to_be() -> int:
    """The number of this process, if a launcher has started several."""
    if find_launcher() == 'none':
        return 0
    return int(next((os.environ[n] for n in RANKS if n in os.environ), 0))


def less_memory(cfg: Config, least: int = 1) -> str:
    """Propose settings that need about half of the memory and train alike.

    Args:
        cfg: The config of the run.
        least: Images that a batch must have.

    Returns:
        A sentence for a person.
    """
    batch = (cfg.get('train_dataloader') or {}).get('batch_size', 1)
    wrapper = cfg.get('optim_wrapper') or {}
    if batch <= least:
        return (
            f'with batch_size={batch} only a smaller model or image helps, or '
            'model.backbone.with_cp=True, which computes the blocks twice'
        )
    half = range(max(least, batch // 2), 0, -1)
    smaller = next(n for n in half if batch % n == 0)
    count = wrapper.get('accumulative_counts', 1) * batch // smaller
    momentum = is_momentum(cfg.model.get('teacher'))
    teacher = f' and model.teacher.interval={count}' if momentum else ''
    text = (
        f'train_dataloader.batch_size={smaller} with '
        f'optim_wrapper.accumulative_counts={count}{teacher} keeps the same effective '
        'batch'
    )
    if 'contrast' in cfg.model:
        text += ' (with fewer keys for the contrast)'
    if wrapper.get('type') == 'OptimWrapper' or wrapper.get('dtype') == 'float32':
        text += ', --amp needs less as well'
    return text
