#!/usr/bin/env python3
"""Copy a folder of images with a short side of 256 pixels, for faster loading.

Example: python tools/shrink_images.py photos photos_256 --workers 8
"""

import argparse

from tqdm import tqdm

from ccmim.data.paths import printable
from ccmim.data.shrink import shrink_images
from ccmim.files import Parser, say


def main() -> None:
    """Parse the command line and copy the images."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('source', metavar='FROM', help='folder of images')
    parser.add_argument('target', metavar='TO', help='folder to write')
    parser.add_argument(
        '--short-side', type=int, default=256, metavar='S', help='pixels'
    )
    parser.add_argument('--quality', type=int, default=92, metavar='Q', help='of JPEG')
    parser.add_argument('--workers', type=int, metavar='N', help='processes')
    args = parser.parse_args()
    try:
        copies = shrink_images(
            args.source, args.target, args.short_side, args.quality, args.workers
        )
        done = list(tqdm(copies, unit=' images', disable=None))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    bad = [(path, reason) for path, reason in done if reason]
    for path, reason in bad:
        print(f'Left out: {printable(path)} ({reason})')
    say(f'{len(done) - len(bad)} images, {len(bad)} left out: {args.target}')


if __name__ == '__main__':
    main()
