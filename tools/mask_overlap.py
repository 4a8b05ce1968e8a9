r"""Tell how much of what masks hide lies on objects, more than by chance.

    python tools/mask_overlap.py work_dirs/ccmim/epoch_40.pth \
        --config mm_configs/small/ccmim_vitt.py --out work_dirs/overlap \
        --data penn_fudan data/penn_fudan/val \
            data/penn_fudan/annotations/instances_val.json

Every sampler draws from the scores of the same network. Several checkpoints are those
of several seeds. In per cent of the masked patches: 0 for random masks, and "objects
first" for masks that know the objects. Writes table.md, scores.csv and scores.png.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config

from ccmim.experiments import Score, write_table
from ccmim.experiments.mask_statistics import BEST, object_overlaps, photos_and_objects
from ccmim.experiments.study_page import fill
from ccmim.masking import GumbelSampler, PublishedSampler, RandomSampler, TopKSampler
from ccmim.report.saved_method import load_method

SAMPLERS = {
    'random': RandomSampler(),
    'published order': PublishedSampler(),
    'importance sampling, T = 1': GumbelSampler(1.0),
    'importance sampling, T = 0.3': GumbelSampler(0.3),
    'importance sampling, T = 0.1': GumbelSampler(0.1),
    'highest scores': TopKSampler(),
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoints', nargs='+', help='of runs of the config')
    parser.add_argument('--config', required=True, help='a pretraining config')
    parser.add_argument(
        '--data',
        nargs=3,
        action='append',
        required=True,
        metavar=('NAME', 'PHOTOS', 'ANNOTATIONS'),
        help='a folder of photos and their objects, of COCO; may be repeated',
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/overlap'))
    parser.add_argument(
        '--page', type=Path, help="a page with the marks 'tables of overlap' to fill"
    )
    return parser.parse_args()


def measure(args: argparse.Namespace) -> list[Score]:
    """Compute the overlaps of all samplers on all data, a seed a checkpoint."""
    methods = [load_method(Config.fromfile(args.config), f) for f in args.checkpoints]
    grid, patch = methods[0].backbone.grid, methods[0].backbone.patch_size
    found = []
    for task, photos, annotations in args.data:
        size = grid[0] * patch, grid[1] * patch
        images = photos_and_objects(Path(photos), Path(annotations), size)
        for seed, method in enumerate(methods):
            overlaps = object_overlaps(method, SAMPLERS, *images)
            found += [
                Score(name, task, seed, 'on objects', 100 * value)
                for name, value in overlaps.items()
            ]
    return found


def main() -> None:
    """Measure and write."""
    args = parse_args()
    try:
        scores = measure(args)
        text = write_table(scores, [*SAMPLERS, BEST], args.out)
        print(f'\n{text}')
        if args.page:
            fill(args.page, 'tables of overlap', (args.out / 'table.md').read_text())
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
