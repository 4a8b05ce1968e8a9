"""Judge a pretraining checkpoint by k-NN, and by a linear probe, on its features.

    python tools/knn.py [CHECKPOINT] --config CONFIG [--k 5 10 20 100 200] [--random]
        [--linear] [--pool class|average|both] [--block N] [--train DATA --test DATA]
        [--out FILE.json] [--cfg-options KEY=VALUE ...]

CONFIG is one of mm_configs/*/knn_*.py. Nothing is trained but the linear probe. Without
a checkpoint random weights are measured. With a block the features are taken after it,
before the final norm: those of SimMIM, whose head is one layer, are best early.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import mmengine
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ccmim.checkpoints import load_backbone
from ccmim.checkpoints.atomic import write_atomically
from ccmim.engine.launch import read_config
from ccmim.engine.settings.option_action import OptionAction
from ccmim.evaluation import extract_features, linear_accuracy, nearest, vote
from ccmim.evaluation.features import POOLS
from ccmim.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'checkpoint', nargs='?', help='of a pretraining run, or another ViT file'
    )
    parser.add_argument('--config', required=True, help='path of a knn_* config')
    parser.add_argument('--train', help='images with known classes, if not the config')
    parser.add_argument('--test', help='images to be classified, if not the config')
    parser.add_argument(
        '--k', nargs='+', type=int, default=[5, 10, 20, 100, 200], help='neighbors'
    )
    parser.add_argument('--temperature', type=float, default=0.07, help='of the vote')
    parser.add_argument(
        '--pool', choices=sorted(POOLS), default='class', help='which feature'
    )
    parser.add_argument(
        '--block', type=int, help='take tokens after this one, from 0, not the last'
    )
    parser.add_argument('--linear', action='store_true', help='fit a linear probe too')
    parser.add_argument(
        '--random', action='store_true', help='measure the random initialization too'
    )
    parser.add_argument('--out', help='FILE.json for the accuracies of each line')
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    args = parser.parse_args()
    if min(args.k) < 1:
        parser.error(f'--k {min(args.k)} must be positive')
    return args


def prepare(args: argparse.Namespace) -> Config:
    """Read the config that the command line asks for."""
    cfg = read_config(args.config, options=args.cfg_options)
    for loader, data in (('train', args.train), ('val', args.test)):
        if 'dataset' not in cfg.get(f'{loader}_dataloader', {}):
            raise ValueError(f'{args.config} has no classes to learn: use a knn_* one')
        if data is not None:
            cfg[f'{loader}_dataloader'].dataset.data = data
    if args.block is None:
        args.block = cfg.get('block')
    init_default_scope(cfg.default_scope)
    return cfg


def measure(
    model: Any, loaders: Sequence[Any], args: argparse.Namespace
) -> dict[str, float]:
    """Compute the accuracies, in percent, by what they are of."""
    (train, train_labels), (test, test_labels) = (
        extract_features(
            model.backbone,
            loader,
            model.data_preprocessor,
            args.pool,
            block=args.block,
        )
        for loader in loaders
    )
    similarities, ids = nearest(train, test, max(args.k))
    found = {}
    for k in args.k:
        votes = vote(similarities[:, :k], train_labels[ids[:, :k]], args.temperature)
        found[f'k={k}'] = 100 * (votes == test_labels).double().mean().item()
    if args.linear:
        found['linear'] = linear_accuracy(train, train_labels, test, test_labels)
    return found


def main() -> None:
    """Measure and print a line for each set of weights."""
    args = parse_args()
    try:
        cfg = prepare(args)
        torch.manual_seed(cfg.randomness.seed)
        model = MODELS.build(cfg.model).to(get_device())
        loaders = [
            Runner.build_dataloader(cfg[f'{name}_dataloader'], seed=0)
            for name in ('train', 'val')
        ]
        rows = {}
        if args.random or not args.checkpoint:
            rows['random'] = measure(model, loaders, args)
        if args.checkpoint:
            load_backbone(model.backbone, args.checkpoint)
            rows['checkpoint'] = measure(model, loaders, args)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    sizes = ' and '.join(f'{len(loader.dataset):,}' for loader in loaders)
    where = '' if args.block is None else f' after block {args.block}'
    print(f'top-1 in percent, {sizes} images, {args.pool} features{where}')
    for name, found in rows.items():
        values = '  '.join(f'{key} {value:5.2f}' for key, value in found.items())
        print(f'{name:<10}  {values}')
    if args.out:
        write_atomically()
        mmengine.dump(rows, args.out)


if __name__ == '__main__':
    main()
