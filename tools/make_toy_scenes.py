#!/usr/bin/env python3
"""Generate the synthetic scenes: COCO instances, ADE20K-style maps, unlabeled images.

Example: python tools/make_toy_scenes.py work_dirs/toy_scenes
"""

import argparse

from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.files import Parser, say


def main() -> None:
    """Parse the command line and write the scenes."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('out', metavar='OUT', help='folder to write')
    parser.add_argument('--train', type=int, default=800, metavar='N', help='scenes')
    parser.add_argument('--val', type=int, default=200, metavar='N', help='scenes')
    parser.add_argument(
        '--unlabeled',
        '--unlabelled',
        type=int,
        default=0,
        metavar='N',
        help='images to pretrain on',
    )
    parser.add_argument('--size', type=int, default=128, metavar='S', help='pixels')
    parser.add_argument('--seed', type=int, default=0, metavar='S', help='any number')
    args = parser.parse_args()
    try:
        root = write_toy_scenes(
            args.out, args.train, args.val, args.size, args.seed, args.unlabeled
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    say(f'Toy scenes: {root}')


if __name__ == '__main__':
    main()
