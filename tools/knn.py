"""Evaluate a pretraining checkpoint by k-NN and linear probe.

    python tools/knn.py [CHECKPOINT] --config CONFIG [--k 5 10 20 100 200] [--random]
        [--linear] [--pool class|average|both] [--block N] [--train DATA --test DATA]
        [--folds K] [--out FILE.json] [--per-image FILE.npz] [--keep FILE.pth]
        [--features DIR] [--dtype auto|float32|bfloat16] [--cfg-options KEY=VALUE ...]

CONFIG is one of mm_configs/*/knn_*.py. Nothing is trained but the linear probe. Without
a checkpoint random weights are measured. With a block the features are taken after it,
before the final norm: those of SimMIM, whose head is one layer, are best early.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import mmengine
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ccmim.checkpoints import load_backbone
from ccmim.checkpoints.atomic import write_atomically
from ccmim.classification.predictor import write_probe
from ccmim.engine.config import read_config
from ccmim.engine.settings.option_action import OptionAction
from ccmim.evaluation import extract_features, fit_probe, nearest, vote
from ccmim.evaluation.features import POOLS
from ccmim.evaluation.kept_features import kept_features
from ccmim.evaluation.resampling import figure, write_samples
from ccmim.evaluation.samples import Classified
from ccmim.files import Parser, say
from ccmim.precision import Precision, precision_of
from ccmim.progress import waiting
from ccmim.registry import MODELS

LOADERS = ('train_dataloader', 'val_dataloader')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
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
    parser.add_argument(
        '--folds',
        type=int,
        default=0,
        metavar='K',
        help='join both sets, and test each image by what the other folds teach',
    )
    parser.add_argument('--out', help='FILE.json for the accuracies of each line')
    parser.add_argument(
        '--per-image', metavar='FILE.npz', help='what each image was taken for'
    )
    parser.add_argument(
        '--keep', metavar='FILE.pth', help='the linear classifier, for ccmim predict'
    )
    parser.add_argument(
        '--features', type=Path, metavar='DIR', help='keep features of photos there'
    )
    parser.add_argument(
        '--dtype',
        choices=get_args(Precision),
        default='float32',
        help='what the network computes in; auto: bf16 where the device has it',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    args = parser.parse_args()
    if min(args.k) < 1:
        parser.error(f'--k {min(args.k)} must be positive')
    if args.folds == 1 or args.folds < 0:
        parser.error(f'--folds {args.folds} must be at least 2')
    if args.keep and (not args.linear or args.pool == 'both' or args.block is not None):
        parser.error('--keep wants --linear, of one pool of the last block')
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
    model: Any, cfg: Config, loaders: Sequence[Any], args: argparse.Namespace
) -> tuple[dict[str, Classified], Any]:
    """Classify the test images, by what they are classified by.

    With folds every image is tested once, by what is learned of the other folds.

    Returns:
        What each image was taken for, and a linear probe of all training images (with
        folds of all images) if it is kept.
    """
    options = dict(
        preprocess=model.data_preprocessor,
        pool=args.pool,
        block=args.block,
        dtype=precision_of(args.dtype, get_device()),
    )
    features = []
    for loader, name in zip(loaders, LOADERS, strict=True):
        if args.features is None:
            features.append(extract_features(model.backbone, loader, **options))
            continue
        backbone = {k: v for k, v in cfg.model.backbone.items() if k != 'init_cfg'}
        pixels = cfg.model.data_preprocessor
        settings = backbone, pixels, cfg[name].dataset.transform
        features.append(
            kept_features(args.features, model.backbone, settings, loader, **options)
        )
    with waiting('Classifying'):
        return classify(*features, args)


def classify(
    learned_from: tuple[Any, Any], tested_on: tuple[Any, Any], args: argparse.Namespace
) -> tuple[dict[str, Classified], Any]:
    """Classify features by those of others; see ``measure``."""
    (train, train_labels), (test, test_labels) = learned_from, tested_on
    if args.folds:
        pairs = zip(learned_from, tested_on, strict=True)
        test, test_labels = (torch.cat(parts) for parts in pairs)
        train, train_labels = test, test_labels
    predicted = {
        name: torch.empty_like(test_labels)
        for name in (*(f'k={k}' for k in args.k), *['linear'] * args.linear)
    }
    for learned, tested in _splits(test_labels, len(train), args.folds):
        known, labels = train[learned], train_labels[learned]
        # A fold leaves fewer than there are: all of them vote then.
        most = min(max(args.k), len(known)) if args.folds else max(args.k)
        similarities, ids = nearest(known, test[tested], most)
        for k in args.k:
            votes = vote(similarities[:, :k], labels[ids[:, :k]], args.temperature)
            predicted[f'k={k}'][tested] = votes
        if args.linear:
            probe = fit_probe(known, labels)
            predicted['linear'][tested] = probe.scores(test[tested]).argmax(1)
    if args.keep and args.folds:
        probe = fit_probe(train, train_labels)
    label = test_labels.numpy()
    hits = {
        name: Classified(label, values.numpy()) for name, values in predicted.items()
    }
    return hits, probe if args.keep else None


def _splits(labels: Any, num_train: int, folds: int) -> Iterator[tuple[Any, Any]]:
    """Yield numbers of images to learn from and to test, each class spread evenly."""
    if not folds:
        yield torch.arange(num_train), torch.arange(len(labels))
        return
    fold_of = torch.zeros_like(labels)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        fold_of[members] = torch.arange(len(members)) % folds
    for fold in range(folds):
        if (fold_of == fold).any():
            yield (fold_of != fold).nonzero()[:, 0], (fold_of == fold).nonzero()[:, 0]


def main() -> None:
    """Measure and print a line for each set of weights."""
    args = parse_args()
    try:
        cfg = prepare(args)
        torch.manual_seed(cfg.randomness.seed)
        model = MODELS.build(cfg.model).to(get_device())
        loaders = [Runner.build_dataloader(cfg[name], seed=0) for name in LOADERS]
        hits, probe = {}, None
        if args.random or not args.checkpoint:
            hits['random'], probe = measure(model, cfg, loaders, args)
        if args.checkpoint:
            load_backbone(model.backbone, args.checkpoint)
            hits['checkpoint'], probe = measure(model, cfg, loaders, args)
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    rows = {
        name: {key: figure(one) for key, one in measured.items()}
        for name, measured in hits.items()
    }
    sizes = ' and '.join(f'{len(loader.dataset):,}' for loader in loaders)
    sizes += ' images' + (f' in {args.folds} folds' if args.folds else '')
    where = '' if args.block is None else f' after block {args.block}'
    print(f'top-1 in percent, {sizes}, {args.pool} features{where}')
    for name, measured in rows.items():
        values = '  '.join(f'{key} {value:5.2f}' for key, value in measured.items())
        print(f'{name:<10}  {values}')
    write_atomically()
    if args.per_image:
        samples = {
            f'{n} {k}': one for n, of_n in hits.items() for k, one in of_n.items()
        }
        sets = loaders if args.folds else loaders[1:]
        names = [x.name(i) for x in (y.dataset for y in sets) for i in range(len(x))]
        write_samples(samples, args.per_image, names)
    if args.keep:
        cfg.model.backbone.init_cfg = None  # all of it is in the file
        cfg.model.pool = args.pool
        classes = loaders[0].dataset.metainfo['classes']
        write_probe(model.cpu(), cfg, classes, probe, Path(args.keep))
        say(f'the linear classifier: {args.keep}')
    if args.out:
        mmengine.dump(rows, args.out)


if __name__ == '__main__':
    main()
