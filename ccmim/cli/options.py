"""``KEY=VALUE`` words of a command line."""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, NoReturn

from ccmim.cli.mistakes import Mistake
from ccmim.settings.option_action import OptionAction


class _Words(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Mistake(
            message, 'write KEY=VALUE, such as optim_wrapper.optimizer.lr=1e-4'
        )


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Read ``--cfg-options``.

    Args:
        words: Each ``KEY=VALUE``.

    Returns:
        Values by dotted key.

    Raises:
        Mistake: If a word is of another form.
    """
    parser = _Words(add_help=False)
    parser.add_argument('--cfg-options', nargs='*', action=OptionAction, default=None)
    return parser.parse_args(['--cfg-options', *words]).cfg_options or {}
