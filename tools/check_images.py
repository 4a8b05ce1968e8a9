#!/usr/bin/env python3
"""Decode every image before training, and list those that cannot be used.

    python tools/check_images.py DATA [DATA ...] [--workers N] [--out FILE]
        [--least-side PX]

DATA is what pretraining takes: folders, list files (.txt), tar shards. Exit codes: 0
when all images are good, 1 when some are bad, 2 when there is nothing to check. What is
written to FILE can be left out of a run: train_dataloader.dataset.exclude=FILE.
"""

import argparse
import os
import sys
from concurrent.futures.process import BrokenProcessPool

from tqdm import tqdm

from ccmim.data.bad_files import write_bad_files
from ccmim.data.check import check_images, summarize
from ccmim.data.paths import printable
from ccmim.data.sources import open_source
from ccmim.files import Parser


def main() -> None:
    """Parse the command line and check the images."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('data', nargs='+', metavar='DATA')
    parser.add_argument('--root', metavar='DIR', help='where paths in lists start')
    parser.add_argument('--workers', type=int, metavar='N', help='processes')
    parser.add_argument('--out', metavar='FILE', help='list of the bad images to write')
    parser.add_argument(
        '--least-side',
        type=int,
        default=0,
        metavar='PX',
        help='list images with a shorter side of fewer pixels as well',
    )
    args = parser.parse_args()
    folder = os.path.dirname(args.out or '') or '.'
    if args.out and not os.access(folder, os.W_OK):
        parser.error(f'cannot write to {printable(folder)}: choose another --out')
    try:
        source = open_source(args.data, args.root)
        results = check_images(source, args.workers, args.least_side)
        bar = tqdm(results, total=len(source), unit=' images', disable=None)
        checked = list(bar)
        bad = {image.name: image.reason for image in checked if image.reason}
        if args.out:
            write_bad_files(args.out, bad)
    except BrokenProcessPool:
        parser.error('a process was killed, often out of memory: try --workers 1')
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    for name, reason in bad.items():
        print(f'{name}\t{reason}')
    print(summarize(checked))
    sys.exit(1 if bad else 0)


if __name__ == '__main__':
    main()
