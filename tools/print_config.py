"""Print a config with its bases resolved and options applied."""

import argparse
import sys
from pathlib import Path

from ccmim.engine.config import read_config
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, one_line, write_file

EXAMPLE = """example:
  python tools/print_config.py mm_configs/pretrain/ccmim_vitb.py \\
      --cfg-options train_cfg.max_epochs=100 --save-path resolved.py"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--save-path', type=Path, help='FILE.py to write as well')
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    parser.add_argument('--debug', action='store_true', help='show tracebacks')
    args = parser.parse_args()
    if args.save_path and args.save_path.suffix != '.py':
        parser.error(f'--save-path {args.save_path} must end in .py')
    return args


def main() -> None:
    """Print, and save if asked to."""
    args = parse_args()
    try:
        cfg = read_config(args.config, None, args.cfg_options, imports=False)
        text = cfg.pretty_text
        print(text)
        if args.save_path:
            write_file(args.save_path, text)
    except (ValueError, OSError) as error:
        if args.debug:
            raise
        print(f'error: {one_line(str(error))}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
