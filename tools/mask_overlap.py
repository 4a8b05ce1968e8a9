r"""Measure how much more often than by chance masks cover objects.

    python tools/mask_overlap.py work_dirs/ccmim/epoch_40.pth \
        --config mm_configs/small/ccmim_vitt.py --out work_dirs/overlap \
        --data penn_fudan data/penn_fudan/val \
            data/penn_fudan/annotations/instances_val.json

Every masker works with the same network; several checkpoints are those of several
seeds. `--own NAME CONFIG CHECKPOINT` adds masks as another method draws them, of its
own scores. "On objects" is in per cent of the masked patches: 0 for random masks, and
"objects first" for masks that know the objects; the importance gap is in per cent of
the mean score of that masker. Writes table.md, scores.csv and scores.png.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from torch import Tensor, nn

from ccmim.apps.compare import Score, write_table
from ccmim.files import Parser, say
from ccmim.masking import (
    BlockSampler,
    CCMIMSampler,
    CentralityScorer,
    ClassAttentionScorer,
    GumbelSampler,
    MILANSampler,
    RandomSampler,
    TokenSplit,
    TopKSampler,
)
from ccmim.pictures.saved_method import load_method
from studies.mask_statistics import (
    mask_statistics,
    most_overlap,
    photos_and_objects,
)
from studies.page import fill

BEST = 'objects first'
ALL, LAST = ClassAttentionScorer(), ClassAttentionScorer(blocks=[-1])


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
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
    parser.add_argument(
        '--own',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help='another method, whose own scores and sampler mask; may be repeated',
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/overlap'))
    parser.add_argument(
        '--page',
        type=Path,
        help="a page with the marks 'tables of NAME' to fill, as OUT's last part",
    )
    return parser.parse_args()


class Row(NamedTuple):
    """One way to mask: what makes scores and a mask of normalized images."""

    name: str
    seed: int
    method: nn.Module
    draws: Callable[[Tensor], Iterator[tuple[Tensor, TokenSplit]]]


def draws_of(
    method: nn.Module, scorer: nn.Module, sampler: nn.Module, images: Tensor
) -> Iterator[tuple[Tensor, TokenSplit]]:
    """Draw masks without end from the scores of a network by any scorer and sampler."""
    parts = [scorer(method.backbone, x) for x in images.split(32)]
    scores = torch.cat(parts)
    while True:
        yield scores, sampler(scores, method.mask_ratio)


def own_draws(method: nn.Module, images: Tensor) -> Iterator[tuple[Tensor, TokenSplit]]:
    """Draw masks without end as a method does itself."""
    while True:
        made = method(images, mode='predict')
        yield made.scores, made.split


def maskers(method: nn.Module) -> dict[str, tuple[nn.Module, nn.Module]]:
    """Name what scores and what draws, of ccMIM first and then of others."""
    size = [n * method.backbone.patch_size for n in method.backbone.grid]
    blocks = BlockSampler(size, method.backbone.patch_size, min_area=4)
    return {
        'random': (ALL, RandomSampler()),
        'published order': (ALL, CCMIMSampler()),
        'importance sampling, T = 1': (ALL, GumbelSampler(1.0)),
        'importance sampling, T = 0.3': (ALL, GumbelSampler(0.3)),
        'importance sampling, T = 0.1': (ALL, GumbelSampler(0.1)),
        'highest scores': (ALL, TopKSampler()),
        'AttMask, hints': (LAST, TopKSampler(hint_ratio=0.05, hint_pool=0.1)),
        'attention kept': (LAST, MILANSampler()),
        'blocks': (ALL, blocks),
        'degree, T = 0.3': (CentralityScorer('degree'), GumbelSampler(0.3)),
        'eigenvector, T = 0.3': (CentralityScorer('eigenvector'), GumbelSampler(0.3)),
        'PageRank, T = 0.3': (CentralityScorer('pagerank'), GumbelSampler(0.3)),
    }


def rows(args: argparse.Namespace) -> list[Row]:
    """Load what masks: every masker with every checkpoint, then other methods."""
    table = []
    for seed, file in enumerate(args.checkpoints):
        method = load_method(Config.fromfile(args.config), file)
        for name, (scorer, sampler) in maskers(method).items():
            draws = partial(draws_of, method, scorer, sampler)
            table.append(Row(name, seed, method, draws))
    for name, config, file in args.own:
        method = load_method(Config.fromfile(config), file)
        table.append(Row(name, 0, method, partial(own_draws, method)))
    return table


def measure(args: argparse.Namespace) -> list[Score]:
    """Compute what is masked of all data."""
    ways, scores = rows(args), []
    grid, patch = ways[0].method.backbone.grid, ways[0].method.backbone.patch_size
    size = grid[0] * patch, grid[1] * patch
    for task, photos, annotations in args.data:
        images, objects = photos_and_objects(Path(photos), Path(annotations), size)
        for name, seed, method, draws in ways:
            inputs = method.data_preprocessor(dict(inputs=images), False)['inputs']
            overlap, gap = mask_statistics(draws(inputs), objects, patch)
            scores.append(Score(name, task, seed, 'on objects', 100 * overlap))
            scores.append(Score(name, task, seed, 'importance gap', 100 * gap))
        most = most_overlap(objects, patch, ways[0].method.mask_ratio)
        for seed in range(len(args.checkpoints)):
            scores.append(Score(BEST, task, seed, 'on objects', 100 * most))
    return scores


def main() -> None:
    """Measure and write."""
    args = parse_args()
    try:
        scores = measure(args)
        arms = dict.fromkeys(score.arm for score in scores if score.arm != BEST)
        text = write_table(scores, [*arms, BEST], args.out)
        print(f'\n{text}')
        if args.page:
            text = (args.out / 'table.md').read_text()
            fill(args.page, f'tables of {args.out.name}', text)
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
