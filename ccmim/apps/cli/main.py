"""Read the command line, run the command, and report errors in one line."""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from ccmim.apps.cli.mistakes import MISTAKE, Mistake, help_of, report
from ccmim.apps.cli.parsers import make_parser

_GO_ON = ('pretrain', 'transfer', 'demo')  # from what they have done


def main(words: Sequence[str] | None = None) -> int:
    """Run ``ccmim``.

    Args:
        words: The command line, that of the process when None.

    Returns:
        0; 1 if something was found wrong or training failed, 2 for a mistake in what
        was asked for, 130 after Ctrl-C, 141 if nobody reads the output on.
    """
    parser = make_parser()
    try:
        args = parser.parse_args(words)
    except Mistake as mistake:
        return report(mistake)
    if args.command is None:
        parser.print_help()
        return 0
    if words is None and args.command == 'pretrain' and not args.dry_run:
        # They wait until the run can save, as those of tools/train.py.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGHUP))
    try:
        code = import_module(f'ccmim.apps.cli.{args.command}').run(args) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        more = ' Run the same command to resume.' if args.command in _GO_ON else ''
        print(f'\nInterrupted.{more}', file=sys.stderr)
        return 130
    except Exception as error:
        return report(error, args.command, args.debug)
    if code == MISTAKE:  # a script of tools/ has said what
        print(f'  -> {help_of(args.command)}', file=sys.stderr)
    return code
