"""Fuzz the readers of files, in processes that may crash.

    python tools/fuzz.py [--files 20000] [--seed 0] [--readers all] [--batch 500]

Every file must be read or refused in one line, within seconds. Kinds of files:
checkpoints (what mmengine's Runner writes, old pickles, safetensors, forged numpy
types), pictures, maps of classes, tar shards and lists, labels (COCO, YOLO, Pascal VOC,
LabelMe, CVAT), configs, and the logs that a report is made of. Prints a count of each
outcome and the number of each file that crashed, hung or raised something else, which
--only makes again. Exit code 1 if there is any.
"""

import argparse
import logging
import multiprocessing
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from ccmim.apps.cli.arguments import positive
from ccmim.files import Parser
from fuzzing.checkpoints import try_checkpoint
from fuzzing.labels import try_labels
from fuzzing.pictures import try_map, try_picture, try_source
from fuzzing.runs import try_config, try_run

SECONDS = 30  # for a batch to show the next sign of life
# Each makes a file in a folder and reads it; the line if it was refused.
READERS = {
    'checkpoints': try_checkpoint,
    'pictures': try_picture,
    'maps': try_map,
    'sources': try_source,
    'labels': try_labels,
    'configs': try_config,
    'logs': try_run,
}


def main() -> int:
    """Read files until the count is reached; the exit code."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--files', type=positive, default=20_000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--readers',
        nargs='+',
        choices=['all', *READERS],
        default=['checkpoints'],
        help='which take turns',
    )
    parser.add_argument('--batch', type=positive, default=500, help='files a process')
    parser.add_argument('--only', type=int, help='make and read this file alone')
    args = parser.parse_args()
    readers = list(READERS) if 'all' in args.readers else args.readers
    if args.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            print(read_one(args.seed, args.only, readers, Path(folder)))
        return 0
    counts, faults = Counter(), {}
    first = 0
    while first < args.files:
        last = min(first + args.batch, args.files)
        number, fault = run_batch(args.seed, first, last, readers, counts)
        if fault:
            faults[number] = fault
            print(f'file {number}: {fault}', flush=True)
        first = number + 1
    print(f'{args.files:,} files, seed {args.seed}:', dict(counts), flush=True)
    print(f'{len(faults)} crashed, hung or raised something else')
    return int(bool(faults))


def run_batch(
    seed: int, first: int, last: int, readers: list[str], counts: Counter
) -> tuple[int, str | None]:
    """Read files in a child; the last one that was tried, and what was wrong."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context('fork')
    child = context.Process(
        target=read_batch, args=(seed, first, last, readers, theirs)
    )
    child.start()
    theirs.close()
    number = first
    try:
        while number < last:
            if not ours.poll(SECONDS):
                child.kill()
                return number, f'no answer in {SECONDS} s'
            outcome = ours.recv()
            counts[outcome.partition(':')[0]] += 1
            if outcome.startswith('raised'):
                child.kill()
                return number, outcome
            number += 1
    except EOFError:
        child.join()
        return number, f'crash: exit code {child.exitcode}'
    finally:
        child.join()
        ours.close()
    return last - 1, None


def read_batch(
    seed: int, first: int, last: int, readers: list[str], pipe: Connection
) -> None:
    """Read files and say what came of each."""
    warnings.simplefilter('ignore')
    logging.disable()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, last):
            pipe.send(read_one(seed, number, readers, Path(folder)))
    pipe.close()


def read_one(seed: int, number: int, readers: list[str], folder: Path) -> str:
    """Make a file and read it: 'READER read', 'READER refused', or what was raised."""
    draw = random.Random(f'{seed}/{number}')
    reader = readers[number % len(readers)]
    own = folder / str(number)
    own.mkdir()
    try:
        refused = READERS[reader](draw, own)
        if refused and len(refused.splitlines()) > 1:
            return f'raised: several lines from {reader}: {refused}'
    except BaseException as error:
        return f'raised by {reader}: {type(error).__name__}: {str(error)[:300]}'
    finally:
        shutil.rmtree(own)
    return f'{reader} {"refused" if refused else "read"}'


if __name__ == '__main__':
    sys.exit(main())
