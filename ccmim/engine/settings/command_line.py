"""Options shared by all scripts that read a config."""

import os
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

from ccmim.engine.launchers import find_launcher
from ccmim.engine.settings.option_action import OptionAction


def config_parser(description: str, *positional: tuple[str, str]) -> ArgumentParser:
    """Make a parser of OpenMMLab's options.

    Args:
        description: What the command does, and how it is used.
        positional: Names and meanings of arguments after the config.
    """
    parser = ArgumentParser(
        description=description, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    for name, meaning in positional:
        parser.add_argument(name, help=meaning)
    parser.add_argument('--work-dir', help='where logs and results go')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        help='override keys of the config',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        help='how the processes were started (default: detected from the environment)',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    parser.add_argument(
        '--debug',
        action='store_true',
        default=os.environ.get('CCMIM_DEBUG') == '1',
        help='show the traceback of an error (also: CCMIM_DEBUG=1)',
    )
    return parser


def parse(parser: ArgumentParser) -> Namespace:
    """Read the command line, and pass the launcher's rank on."""
    args = parser.parse_args()
    if args.launcher is None:
        args.launcher = find_launcher()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
