"""Options that several commands share, and how their values are read."""

import argparse
from typing import Any

from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.parsers import FORMAT, Parser


def command(commands: Any, name: str, what: str, more: str) -> Parser:
    """Add a command.

    Args:
        commands: Where to.
        name: Of the command, and of the module that runs it.
        what: It does, in a line.
        more: Paragraphs below that line, with an example.
    """
    return commands.add_parser(
        name, help=what, description=f'{what}.\n\n{more}', **FORMAT
    )


def add_checkpoint(parser: Parser, name: str = 'checkpoint') -> None:
    """Add weights of any format, and the options for what they leave open.

    Args:
        parser: Of the command.
        name: Of the argument; an option where it begins with dashes.
    """
    given = dict(required=True) if name[0] == '-' else {}
    parser.add_argument(
        name,
        metavar='WEIGHTS' if given else name.upper(),
        help='file, folder, timm:NAME or hf:OWNER/NAME',
        **given,
    )
    add_weight_options(parser)


def add_weight_options(parser: Parser) -> None:
    """Add options for what a file of weights may leave open."""
    parser.add_argument(
        '--num-heads',
        type=positive,
        metavar='H',
        help='needed if the weights do not say',
    )
    parser.add_argument(
        '--img-size', type=positive, nargs='+', metavar='PX', action=Size,
        help='image size of the weights, if they do not say: side, or height and width',
    )  # fmt: skip
    parser.add_argument(
        '--part',
        default='',
        help="which network, if there are several; 'ema' for averaged weights",
    )


def add_image_size(
    parser: Parser, most: str = '224 and four times that of the photos'
) -> None:
    """Add the image size for feature extraction, which is usually at most so much."""
    parser.add_argument(
        '--image-size', type=positive, metavar='PX',
        help='image size for feature extraction (default: that of the weights, at most '
        f'{most})',
    )  # fmt: skip


def add_dtype(parser: Parser) -> None:
    """Add the precision of feature extraction."""
    parser.add_argument(
        '--dtype',
        choices=('auto', 'float32', 'bfloat16'),
        default='auto',
        help='precision of feature extraction (default: bf16 where the device has it)',
    )


class Size(argparse.Action):
    """Read a side, or height and width."""

    def __call__(
        self, parser: Any, namespace: Any, values: Any, name: Any = ''
    ) -> None:
        """Keep one number, or a list of two."""
        if len(values) > 2:
            raise Mistake('--img-size takes a side, or height and width', str(values))
        setattr(namespace, self.dest, values[0] if len(values) == 1 else values)


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f'{text!r} must be a whole number of at least 1'
        )
    return number


def add_ignore_zero(parser: Parser) -> None:
    """Add what label 0 means."""
    parser.add_argument(
        '--ignore-zero',
        action='store_true',
        help='label 0 means no class, as in ADE20K',
    )
