"""Whether a command has been given before, so that giving it again resumes it."""

import os
import shlex
from argparse import Namespace
from pathlib import Path

from ccmim.apps.cli.mistakes import Mistake
from ccmim.checkpoints.config_text import read_values
from ccmim.data.paths import printable
from ccmim.engine.settings.work_dir import files_of_a_run

CHOSEN = ('size', 'image_size', 'epochs', 'batch_size', 'workers')
WEIGHTS = ('init', 'teacher')
RECIPE = 'recipe.py'
_NOT_OURS = 'not of ccmim pretrain'


def absolute(item: str) -> str:
    """Make a path or pattern absolute."""
    return os.path.abspath(os.path.expanduser(item))


def asked(args: Namespace) -> str:
    """Write the command in one way, but for where it writes; the recipe notes it."""
    words = [*map(absolute, args.data), '--method', args.method]
    for name in (*CHOSEN, *WEIGHTS):
        if (value := getattr(args, name)) is not None:
            words += [f'--{name.replace("_", "-")}', value]
    words += ['--cfg-options', *args.cfg_options] if args.cfg_options else []
    return printable(f'ccmim pretrain {shlex.join(map(str, words))}')


def is_resumed(args: Namespace, out: Path) -> bool:
    """Return whether a run is to be resumed.

    Args:
        args: What was asked for.
        out: Where it writes.

    Raises:
        Mistake: If the run that is there is of another command, or there is none
            to ``--resume``.
    """
    if args.resume:
        _check_resume(args, out)
        return True
    if args.overwrite or not files_of_a_run(out):
        return False
    if (command := _command_of(out)) != asked(args):
        raise Mistake(
            f'{out} holds the run of another command ({command})',
            '--resume continues it, --overwrite starts again, --out DIR goes elsewhere',
        )
    return True


def _command_of(out: Path) -> str:
    recipe = out / RECIPE
    if not recipe.is_file():
        return _NOT_OURS
    try:  # what lies in a folder is read, and not run
        return str(read_values(recipe.read_text('utf-8')).get('asked', _NOT_OURS))
    except (ValueError, OSError) as error:
        raise Mistake(
            f'{recipe} is no recipe of ccmim pretrain ({error}), and was not run',
            f'if it is yours: python tools/train.py {recipe} --resume; else give '
            'another --out',
        ) from None


def _check_resume(args: Namespace, out: Path) -> None:
    if not (out / RECIPE).is_file():
        raise Mistake(
            f'there is no run to resume in {out}',
            'give its folder with --out, or leave out --resume to start one',
        )
    command = _command_of(out)
    given = [name for name in (*CHOSEN, *WEIGHTS) if getattr(args, name) is not None]
    if given and command != asked(args):
        raise Mistake(
            f'--{given[0].replace("_", "-")} cannot change a run that has started',
            'leave it out with --resume, or start another run with another --out',
        )
