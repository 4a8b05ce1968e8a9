"""User errors: one line with the problem, one with the remedy."""

import errno
import sys
import traceback
from contextlib import suppress

from ccmim.files import drop_unwritable, one_line, say
from ccmim.operators import InstallError
from ccmim.operators import one_line as line_of_install

_DENSE = ('mmcv', 'mmdet', 'mmseg', 'mmengine', 'pycocotools')
_LONGEST = 500  # letters of a message
MISTAKE, FAILED, NO_ROOM = 2, 1, 3
UNREAD = 141  # as of a process that SIGPIPE ends
_ROOM = 'make room, or write elsewhere, and run it again'


class Mistake(ValueError):
    """Something that was asked for cannot be done.

    Args:
        what: What is wrong, in one line.
        how: What to do about it, in one line.
    """

    def __init__(self, what: str, how: str) -> None:
        super().__init__(what)
        self.how = how


def report(error: Exception, command: str = '', debug: bool = False) -> int:
    """Print a mistake, or the traceback of a bug.

    Args:
        error: What was raised.
        command: The command that was run.
        debug: Whether to show the traceback of a mistake too.

    Returns:
        The exit code: 2 for a mistake, 3 for a full or read-only disk, 1 for a failed
        stage or a bug, 141 if nobody reads the output on.
    """
    if isinstance(error, BrokenPipeError):
        try:
            print(flush=True)  # is it this pipe?
        except BrokenPipeError:
            drop_unwritable(sys.stdout)
            return UNREAD
    if debug:
        traceback.print_exception(error)
    if type(error).__name__ == 'StageError':  # its text is the end of a log
        say('', *str(error).splitlines(), file=sys.stderr)
        return FAILED
    what, how = map(one_line, _explain(error, command))
    if isinstance(error, OSError) and _is_no_room(error):
        print(f'error: {what}\n  -> {_ROOM}', file=sys.stderr, flush=True)
        drop_unwritable(sys.stdout)
        return NO_ROOM
    print(f'error: {what}\n  -> {how}', file=sys.stderr, flush=True)
    mistakes = ValueError | OSError | ImportError | InstallError
    return MISTAKE if isinstance(error, mistakes) else FAILED


def _explain(error: Exception, command: str) -> tuple[str, str]:
    if isinstance(error, Mistake):
        return str(error), error.how
    if text := line_of_install(error):
        what, _, how = text.rpartition(': ')
        return what, how
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f'{error.name} is not installed', how_to_install(error.name)
    if type(error).__name__ == 'MissingLibrary':
        what, _, how = str(error).rpartition(': ')
        return what, how
    if isinstance(error, OSError) and error.filename is not None:
        return f'{error.filename}: {error.strerror}', help_of(command)
    if isinstance(error, ValueError | OSError) and str(error).strip():
        lines = filter(None, map(str.strip, str(error).splitlines()))
        return '; '.join(lines)[:_LONGEST], help_of(command)
    text = None
    with suppress(ImportError):
        from ccmim.engine.settings.errors import mistake  # imports torch

        text = mistake(error)
    text = text or f'{type(error).__name__}: {error}'
    if isinstance(error, ValueError | OSError | ImportError):
        return text, help_of(command)
    return text, 'this is no mistake of yours; please report it with what --debug shows'


def _is_no_room(error: OSError) -> bool:
    full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return error.errno in full or type(error).__name__ == 'WriteError'


def help_of(command: str) -> str:
    """Point to the help of a command."""
    return f'what it takes: ccmim {command} --help'


def how_to_install(module: str) -> str:
    """Explain how to install a missing library."""
    if module.partition('.')[0] in _DENSE:
        return 'in a checkout: bash tools/install.sh; "ccmim doctor" says what is wrong'
    return f'pip install {module}'
