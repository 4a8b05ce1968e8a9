#!/usr/bin/env python3
"""Measure the speed of fine-tuning detectors and segmentors, on made-up images.

Steps as a training run takes them, fed from memory: what loading costs is not in it.
With --inference also predictions, with all that follows the network. On a CPU the
table also shows what a forward pass keeps for the backward pass.
Without configs: ViTDet-B at 1024 and UperNet-B at 512. Exit code: 0, or 2 if the
command line asks for what cannot be.
"""

import argparse
import sys
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from benchmarks.dense import VARIANTS, DenseTask
from benchmarks.flops import saved_bytes
from benchmarks.machine import machine_facts
from benchmarks.plan import PRECISIONS
from benchmarks.report import format_table, write_files
from benchmarks.rows import Contender, Label, exact_of, reference_of
from benchmarks.summary import summarize
from benchmarks.timing import measure
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, say

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ('detection/mask_rcnn_vitb_coco', 'segmentation/upernet_vitb_ade20k')
EXAMPLE = """example:
  python tools/benchmark_dense.py --variants plain channels_last --batch-size 8
  python tools/benchmark_dense.py mm_configs/segmentation/upernet_vits_ade20k.py \\
      --precisions bf16 --out results"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    default = [str(ROOT / 'mm_configs' / f'{name}.py') for name in CONFIGS]
    add('configs', nargs='*', metavar='CONFIG', default=default)
    add('--side', type=int, help="of the square images in pixels; the config's")
    add('--variants', nargs='+', choices=VARIANTS, default=['plain'])
    add('--precisions', nargs='+', choices=PRECISIONS, help='all of the device')
    add('--batch-size', type=int, help='8 on a GPU, 2 on a CPU')
    add('--inference', action='store_true', help='measure predictions as well')
    add('--rounds', type=int, default=5, help='of all rows in turn')
    add('--steps', type=int, help='of a row in a round; 10 on a GPU, 1 on a CPU')
    add('--out', type=Path, metavar='DIR', help='for benchmark.csv and benchmark.json')
    add('--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...')
    return parser.parse_args()


def main() -> int:
    """Measure and print; errors in the choices are one line and exit code 2."""
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')  # not into the table
    try:
        run(args)
    except (ValueError, FileNotFoundError, ImportError) as error:
        say(f'error: {error}', file=sys.stderr)
        return 2
    return 0


def run(args: argparse.Namespace) -> None:
    """Carry out what the command line asks for.

    Raises:
        ValueError: If it cannot be.
    """
    on_cuda = torch.cuda.is_available()
    device = torch.device('cuda' if on_cuda else 'cpu')
    precisions = args.precisions or (PRECISIONS if on_cuda else ('fp32', 'bf16'))
    batch_size = args.batch_size or (8 if on_cuda else 2)
    steps = args.steps or (10 if on_cuda else 1)
    if min(batch_size, steps, args.rounds) < 1:
        raise ValueError('--batch-size, --steps and --rounds must be at least 1')
    if 'tf32' in precisions and not on_cuda:
        raise ValueError('tf32 needs a GPU: leave it out of --precisions')
    facts = machine_facts(ROOT)
    print('\n'.join(f'{name}: {fact}' for name, fact in facts.items()))
    rows = []
    for config in args.configs:
        for variant in args.variants:
            task = DenseTask(config, variant, args.cfg_options, device, args.side)
            print(f'{task.name}: {task.side} x {task.side} pixels')
            for precision in precisions:
                rows.append(task.row(precision, batch_size))
                if args.inference:
                    rows.append(task.row(precision, batch_size, predicts=True))
    torch.backends.cudnn.benchmark = True  # as the configs set it
    taken = measure(rows, args.rounds, steps, 3 if on_cuda else 1, device)
    table = []
    for label, rounds in taken.items():
        same = [other for other in taken if _name(other) == _name(label)]
        reference = reference_of(label, same)
        row = next(row for row in rows if row.label == label)
        exact = None if label.method.endswith('inference') else exact_of(label)
        table.append(
            summarize(
                label,
                rounds,
                taken[reference],
                steps,
                saved_bytes=_saved(row) if rounds and not on_cuda else None,
                exact=taken.get(exact, ()),
            )
        )
    print('"times" as fast as the first row of the config, "to exact" as its plain one')
    print(f'\n{format_table(table)}')
    if args.out:
        seconds = [[each.seconds for each in rounds] for rounds in taken.values()]
        write_files(args.out, table, seconds, facts)
        print(f'\nWrote {args.out}/benchmark.csv and benchmark.json')


def _saved(row: Contender) -> float | None:
    """Count what a forward pass keeps for the backward pass, an image."""
    if row.loss is None:
        return None
    with row.feed() as stream:
        batch = next(iter(stream))
    return saved_bytes(lambda: row.loss(batch), row.state()) / row.label.batch_size


def _name(label: Label) -> tuple[str, bool]:
    return label.method.split()[0], label.method.endswith('inference')


if __name__ == '__main__':
    sys.exit(main())
