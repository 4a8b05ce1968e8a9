#!/usr/bin/env python3
"""Measure training speed and memory, beside published code if it is there.

    python tools/benchmark.py --sizes s b --precisions fp32 bf16 --out DIR
    python tools/benchmark.py --methods ccmim --options score3 cached masks2
    python tools/benchmark.py --levels trainer files --images FOLDER
    git clone https://github.com/Sherrylone/ccMIM PEERS/ccMIM
    git clone https://github.com/facebookresearch/mae PEERS/mae
    git clone https://github.com/Haochen-Wang409/HPM PEERS/HPM
    git clone https://github.com/open-mmlab/mmpretrain PEERS/mmpretrain
    python tools/benchmark.py --methods ccmim mae hpm --peers PEERS

Exit code: 0, or 1 if published code does not compute what ours does, or 2 if the
command line asks for what cannot be.
"""

import argparse
import sys
from pathlib import Path

from mmengine.logging import MMLogger

from benchmarks.options import OPTIONS
from benchmarks.peers import PEERS
from benchmarks.plan import LEVELS, METHODS, PRECISIONS, SIZES, Plan
from benchmarks.run import run
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage='%(prog)s [options]; see --help',
    )
    add = parser.add_argument
    add('--methods', nargs='+', choices=METHODS, default=METHODS[:2])
    add('--sizes', nargs='+', choices=SIZES, default=['b'])
    add('--precisions', nargs='+', choices=PRECISIONS, help='all of the device')
    add('--batch-sizes', nargs='+', type=int, help='256 on a GPU, 8 on a CPU')
    add(
        '--options',
        nargs='+',
        choices=OPTIONS,
        default=[],
        help='further rows, cheaper and of another result: ccMIM '
        + '; '.join(f'{text} ({name})' for name, text in OPTIONS.items()),
    )
    add(
        '--levels',
        nargs='+',
        choices=LEVELS,
        default=['step'],
        help='bare model; as a training run steps; that, fed from image files',
    )
    add('--images', metavar='DIR', help='image folder for --levels files')
    add('--workers', type=int, help="processes of the data loader; the config's")
    peers = ', '.join(peer.folder for peer in PEERS)
    add('--peers', type=Path, metavar='DIR', help=f'folder of clones: {peers}')
    add('--rounds', type=int, default=5, help='of all rows in turn')
    add('--steps', type=int, help='of a row in a round; 21 on a GPU, 3 on a CPU')
    add('--warmup', type=int, help='steps of a row before; 10 on a GPU, 1 on a CPU')
    add('--aa', action='store_true', help='measure the reference twice: the noise')
    add('--out', type=Path, metavar='DIR', help='for benchmark.csv and benchmark.json')
    add(
        '--cfg-options',
        nargs='+',
        action=OptionAction,
        help='changes of our configs: KEY=VALUE ...',
    )
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; errors in the choices are one line and exit code 2."""
    arguments = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')  # not into the table
    try:
        return run(Plan(**vars(arguments)))
    except (ValueError, FileNotFoundError, ImportError) as error:
        say(f'error: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
