"""Detect that a command was run before, so that running it again resumes."""

import os
import re
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ccmim.apps.cli.mistakes import Mistake
from ccmim.checkpoints.config_text import read_values
from ccmim.data.paths import printable
from ccmim.data.remote import is_address
from ccmim.engine.settings.work_dir import files_of_a_run
from ccmim.files import write_file

CHOSEN = ('size', 'image_size', 'epochs', 'batch_size', 'workers')
WEIGHTS = ('init', 'lora', 'teacher', 'cache_teacher')
RECIPE = 'recipe.py'
_NOT_OURS = 'not of ccmim pretrain'
# A config can name any module or function; ours name parts of these packages.
_MODULES = re.compile(r'(ccmim|mmdet|mmseg|mmpretrain)(\.\w+)*')
_PARTS = re.compile(r'((ccmim|mmdet|mmseg|mmpretrain|torch\.optim)\.)?\w+')
_NAMING = ('type', 'runner_type', 'default_scope', '_scope_')
_EPOCHS = re.compile(r' --epochs \d+')
_BEFORE_EPOCHS = re.compile(r'( --method \S+(?: --size \S+)?(?: --image-size \S+)?)')


def absolute(item: str) -> str:
    """Make a path or pattern absolute."""
    if is_address(item):
        return item
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
        Mistake: If another command started the run there, or there is none
            to ``--resume``.
    """
    if args.resume:
        _check_resume(args, out)
        return True
    if args.overwrite or not files_of_a_run(out):
        return False
    command = str(_recipe_of(out).get('asked', _NOT_OURS))
    if _with_epochs(command, args.epochs) != asked(args):
        raise Mistake(
            f'{out} holds the run of another command ({command})',
            '--resume continues it, --overwrite starts again, --out DIR goes elsewhere',
        )
    return True


def extend(args: Namespace, out: Path) -> None:
    """Extend a run that has started to the requested number of epochs.

    Its schedule is in fractions of the run, so it becomes that of the longer one.

    Args:
        args: What was asked for.
        out: Folder of the run, whose recipe is written anew.

    Raises:
        Mistake: If the run has more epochs.
    """
    values = _recipe_of(out)
    loop = values.get('train_cfg', {})
    if args.epochs is None or args.epochs == loop.get('max_epochs'):
        return
    if args.epochs < loop['max_epochs']:
        raise Mistake(
            f'--epochs {args.epochs} is less than the {loop["max_epochs"]} of the run '
            f'in {out}',
            'a run can be made longer; for a shorter one give another --out',
        )
    print(f'{loop["max_epochs"]} epochs become {args.epochs}', flush=True)
    loop['max_epochs'] = args.epochs
    values['asked'] = _with_epochs(str(values['asked']), args.epochs)
    write_file(out / RECIPE, Config(values).pretty_text)


def _with_epochs(command: str, epochs: int | None) -> str:
    """The command that began a run, as if it had asked for so many epochs."""
    if epochs is None or command == _NOT_OURS:
        return command
    if _EPOCHS.search(command):
        return _EPOCHS.sub(f' --epochs {epochs}', command)
    return _BEFORE_EPOCHS.sub(rf'\1 --epochs {epochs}', command, count=1)


def _recipe_of(out: Path) -> dict[str, Any]:
    recipe = out / RECIPE
    if not recipe.is_file():
        return {}
    try:  # what lies in a folder is read, and not run
        text = recipe.read_text('utf-8')
        values = read_values(text)
        _refuse_code(text, values)
        return values
    except (ValueError, OSError) as error:
        raise Mistake(
            f'{recipe} is no recipe of ccmim pretrain ({error}), and was not run',
            f'if it is yours: python tools/train.py {recipe} --resume; else give '
            'another --out',
        ) from None


def _refuse_code(text: str, values: dict[str, Any]) -> None:
    """Refuse what mmengine would import or run when it reads plain values."""
    if '_base_' in values:
        raise ValueError('it has a _base_')
    if '{{' in text:  # replaced before the text is read
        raise ValueError('it has a {{')
    listed = (values.get('custom_imports') or {}).get('imports') or []
    modules = [listed] if isinstance(listed, str) else listed
    strange = [name for name in modules if not _MODULES.fullmatch(str(name))]
    if strange := [*strange, *_foreign_parts(values)]:
        raise ValueError(f'it names {strange[0]}')


def _foreign_parts(node: Any) -> list[str]:
    if isinstance(node, dict):
        names = [str(value) for key, value in node.items() if key in _NAMING]
        own = [name for name in names if not _PARTS.fullmatch(name)]
        return own + _foreign_parts([*node.values()])
    if isinstance(node, list | tuple):
        return [name for part in node for name in _foreign_parts(part)]
    return []


def _check_resume(args: Namespace, out: Path) -> None:
    if not (out / RECIPE).is_file():
        raise Mistake(
            f'there is no run to resume in {out}',
            'give its folder with --out, or leave out --resume to start one',
        )
    command = str(_recipe_of(out).get('asked', _NOT_OURS))
    given = [
        name
        for name in (*CHOSEN, *WEIGHTS)
        if name != 'epochs' and getattr(args, name) is not None
    ]
    if given and _with_epochs(command, args.epochs) != asked(args):
        raise Mistake(
            f'--{given[0].replace("_", "-")} cannot change a run that has started',
            'leave it out with --resume, or start another run with another --out',
        )
