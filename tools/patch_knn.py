"""Evaluate weights by k-NN segmentation of patches, without training.

    python tools/patch_knn.py [CHECKPOINT] --config CONFIG [--k 30] [--random]
        [--images 500] [--features DIR] [--dtype auto|float32|bfloat16]
        [--out FILE.json] [--cfg-options KEY=VALUE ...]

CONFIG is any segmentation config: its backbone, training and validation images and
test pipeline are used. It is the dense NN retrieval of `ccmim judge`: each patch of the
validation images takes the soft labels of the training patches that are most alike, and
pixels count. Without a checkpoint random weights are measured.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, get_args

import mmengine
import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DATASETS, MODELS, init_default_scope

from ccmim.checkpoints import load_backbone
from ccmim.checkpoints.atomic import write_atomically
from ccmim.engine.config import read_config
from ccmim.engine.settings.option_action import OptionAction
from ccmim.evaluation import labeled_maps, remember_patches, retrieval_overlaps
from ccmim.evaluation.resampling import write_samples
from ccmim.evaluation.retrieval import NEIGHBORS
from ccmim.evaluation.samples import Overlaps
from ccmim.files import Parser, say
from ccmim.precision import Precision, precision_of

KEY = 'patch_mIoU'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'checkpoint', nargs='?', help='of a pretraining run, or another ViT file'
    )
    parser.add_argument('--config', required=True, help='a segmentation config')
    parser.add_argument('--k', type=int, default=NEIGHBORS, help='neighbors')
    parser.add_argument(
        '--images', type=int, default=500, help='training images at most, spread evenly'
    )
    parser.add_argument(
        '--random', action='store_true', help='measure the random initialization too'
    )
    parser.add_argument(
        '--features', type=Path, metavar='DIR', help='keep features of images there'
    )
    parser.add_argument(
        '--dtype',
        choices=get_args(Precision),
        default='float32',
        help='what the network computes in; auto: bf16 where the device has it',
    )
    parser.add_argument('--out', help='FILE.json to write the figures to')
    parser.add_argument(
        '--per-image',
        metavar='FILE.npz',
        help='what each test image adds, by which tools/compare.py tells chance',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    args = parser.parse_args()
    if min(args.k, args.images) < 1:
        parser.error('--k and --images must be at least 1')
    return args


def measure(model: Any, cfg: Config, args: argparse.Namespace) -> Overlaps:
    """Compute the overlaps of found and true pixels in each test image."""
    maps = []
    for split, limit in ('train', args.images), ('val', None):
        data = cfg[f'{split}_dataloader'].dataset.to_dict()
        data['pipeline'] = cfg.val_dataloader.dataset.pipeline
        data = DATASETS.build(data)
        classes = len(data.metainfo['classes'])
        maps.append(labeled_maps(data, model.data_preprocessor, limit))
    options = precision_of(args.dtype, get_device()), args.features
    known = remember_patches(model.backbone, maps[0], classes, *options)
    overlaps = retrieval_overlaps(model.backbone, maps[1], *known, args.k, *options)
    return Overlaps(*(part.numpy() for part in overlaps))


def main() -> None:
    """Measure and print a line for each set of weights."""
    args = parse_args()
    rows = {}
    try:
        cfg = read_config(args.config, options=args.cfg_options)
        if 'decode_head' not in cfg.get('model', {}):
            raise ValueError(f'{args.config} segments nothing: give a segmentation one')
        init_default_scope(cfg.default_scope)
        torch.manual_seed(cfg.randomness.seed)
        model = MODELS.build(cfg.model).to(get_device())
        if args.random or not args.checkpoint:
            rows['random'] = measure(model, cfg, args)
        if args.checkpoint:
            load_backbone(model.backbone, args.checkpoint)
            rows['checkpoint'] = measure(model, cfg, args)
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    figures = {
        name: {KEY: float(overlaps.figures(np.ones((1, len(overlaps))))[0])}
        for name, overlaps in rows.items()
    }
    print(f'mIoU in percent by dense NN retrieval, {args.k} neighbors')
    for name, overlaps in figures.items():
        print(f'{name:<10}  {overlaps[KEY]:5.2f}')
    if args.out:
        write_atomically()
        mmengine.dump(figures, args.out)
    if args.per_image:
        write_samples({KEY: list(rows.values())[-1]}, args.per_image)


if __name__ == '__main__':
    main()
