#!/usr/bin/env python3
r"""Check the data that a config will read.

    python tools/check_dataset.py CONFIG [--split train|val|test] [--out labels.png]
        [--num 12] [--cfg-options KEY=VALUE ...]

For instance:

    CCMIM_DATA=data python tools/check_dataset.py \
        mm_configs/small/finetune_vitt_cifar10.py --out labels.png

Detection (COCO's format), segmentation (maps of classes), classification (class folders
or lists) and unlabeled images. FILE of --out shows images of each split with their
annotations. Exit codes: 0 when all is good, 1 when there are problems, 2 when there is
nothing to check.
"""

import argparse
import os
import sys
from pathlib import Path

from ccmim.apps.cli.quiet import no_messages
from ccmim.engine.config import read_config
from ccmim.engine.settings import SPLITS, check_config
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, say
from ccmim.labels import write_sheet


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--split', choices=SPLITS, help='only this one')
    parser.add_argument('--out', type=Path, metavar='FILE', help='picture to write')
    parser.add_argument(
        '--num', type=int, default=12, metavar='N', help='images of a split in FILE'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    args = parser.parse_args()
    if args.num < 1:
        parser.error(f'--num {args.num} must be positive')
    if args.out and not os.access(args.out.parent, os.W_OK):
        parser.error(f'cannot write to {args.out.parent}: choose another --out')
    if args.out and args.out.suffix.lower() not in ('.png', '.jpg', '.jpeg'):
        parser.error(f'--out {args.out} must end in .png or .jpg')
    return args


def main() -> None:
    """Check, print and draw."""
    args = parse_args()
    try:
        with no_messages():  # of mmdet and mmseg, if it imports them
            cfg = read_config(args.config, None, args.cfg_options, imports=False)
            splits = [args.split] if args.split else SPLITS
            reports = check_config(cfg, splits, args.num)
    except (ValueError, OSError, ImportError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    for report in reports:
        print(report.text())
    pictures = [picture for report in reports for picture in report.pictures]
    if args.out and pictures:
        write_sheet(pictures, args.out, reports[0].legend)
        say(f'drawn to {args.out}')
    problems = sum(len(report.problems) for report in reports)
    print(f'problems found: {problems or "none"}')
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
