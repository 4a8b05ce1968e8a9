"""The parser of the command line. Imports no library, so that --help is fast."""

import argparse
import difflib
import os
from typing import Any, NoReturn

from ccmim import __version__
from ccmim.apps.cli.mistakes import Mistake

_ABOUT = """Pretrain Vision Transformers on unlabeled images, and evaluate them.

  ccmim demo                                  pretrain and evaluate on synthetic scenes
  ccmim check FOLDER                          find damaged photos and wrong labels
  ccmim pretrain PHOTOS                       pretrain on your own photos
  ccmim transfer WEIGHTS --data LABELED       evaluate on downstream tasks
  ccmim judge WEIGHTS ... --data LABELED      compare frozen dense features
  ccmim leaf LABELED --backbone WEIGHTS       write the config transfer would use
  ccmim predict CHECKPOINT PHOTOS             draw and save predictions
  ccmim embed PHOTOS --weights W --out x.csv  save features, find near-duplicates
  ccmim report work_dirs/RUN                  one page with curves and pictures
"""
_MORE = """Every command has --help with examples. The commands wrap the scripts in
tools/ and the configs in mm_configs/, which you can also use directly."""
FORMAT = dict(formatter_class=argparse.RawDescriptionHelpFormatter)


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are raised, with the nearest word that exists."""

    def error(self, message: str) -> NoReturn:
        """Raise a Mistake."""
        raise Mistake(message.replace('\n', ' '), f'see: {self.prog} --help')

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            near = difflib.get_close_matches(str(value), choices, n=1)
            name = '/'.join(action.option_strings) or 'command'
            how = f'did you mean {near[0]}?' if near else f'see: {self.prog} --help'
            raise Mistake(
                f'{name} {value!r} is unknown: there are {", ".join(choices)}', how
            )


def make_parser() -> Parser:
    """Make the parser of ``ccmim`` and all its commands."""
    from ccmim.apps.cli.commands import COMMANDS  # which need the parser

    parser = Parser('ccmim', description=_ABOUT, epilog=_MORE, **FORMAT)
    parser.add_argument('--version', action='version', version=f'ccmim {__version__}')
    commands = parser.add_subparsers(
        dest='command', metavar='COMMAND', title='commands'
    )
    for add in COMMANDS:
        command = add(commands)
        command.add_argument(
            '--debug',
            action='store_true',
            default=os.environ.get('CCMIM_DEBUG') == '1',
            help='show the traceback of an error',
        )
    return parser
