r"""Draw what a network has learned, on any image or folder.

    python tools/visualize.py CHECKPOINT IMAGE_OR_FOLDER --out pictures
    python tools/visualize.py work_dirs/ccmim_vitt/epoch_40.pth photos/ --out pictures \
        --config mm_configs/small/ccmim_vitt.py --what masks attention
    python tools/visualize.py PRETRAINED.pth data/coco/val2017 --out pictures \
        --config mm_configs/detection/mask_rcnn_vitb_coco.py --compare SCRATCH.pth

masks        what the method of --config masks of each image and makes of the rest
attention    where the class token looks, in each head of a block
pca          features of patches as colors, of one meaning in all images
neighbors   a patch of each image and the most similar ones of the others
tsne         all images on a plane, the like near each other
predictions  what a detector or segmentor finds, beside the truth where it is known
queries      masks and attention of the surest queries of an EoMT

CHECKPOINT is of a run, or the backbone of another project (MAE, timm, DINO, ...).
Without --what all is drawn that can be. Text of a config inside of a checkpoint is
never executed: masks and predictions need --config. A mistake ends with exit code 2.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from PIL import Image
from torch import nn
from torchvision.transforms import Compose

from ccmim.checkpoints import load_backbone
from ccmim.checkpoints.sources import name_of_weights
from ccmim.data import ResizeCenterCrop, ToUint8Tensor
from ccmim.engine.config import read_config
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, replacing, say
from ccmim.pictures.attention import attention_sheet
from ccmim.pictures.image_map import PROJECTIONS, map_figure
from ccmim.pictures.method_pictures import method_sheet
from ccmim.pictures.patch_colors import color_sheet
from ccmim.pictures.patch_neighbors import neighbor_sheet
from ccmim.pictures.photos import Photos, open_photos
from ccmim.pictures.saved_method import load_method, load_vit
from ccmim.registry import MODELS, TRANSFORMS

FEATURES = ('attention', 'pca', 'neighbors', 'tsne')
WHAT = ('masks', *FEATURES, 'predictions', 'queries')
LESS_OFTEN = ('masks', 'neighbors', 'tsne', 'queries')  # these cannot be drawn always
DENSE = ('mmdet', 'mmseg')  # scopes of detection and segmentation configs
SIDE = 420  # pixels of a tile with predictions
LARGE = 448  # pixels of a photo whose features are shown


def _american(word: str) -> str:
    return word.replace('bours', 'bors')  # what it was called


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', type=Path, help='of a run, or another ViT file')
    parser.add_argument('images', help='an image, a folder, a list file or a tar')
    parser.add_argument('--out', type=Path, required=True, help='folder for pictures')
    parser.add_argument('--config', help='of the run')
    parser.add_argument(
        '--what', nargs='+', type=_american, choices=WHAT, help='see above'
    )
    parser.add_argument(
        '--compare',
        type=Path,
        metavar='CHECKPOINT2',
        help='predictions of this one too',
    )
    parser.add_argument('--num', type=int, default=6, help='images to show')
    parser.add_argument(
        '--num-map', type=int, default=300, help='images of the map, and to search'
    )
    parser.add_argument(
        '--size',
        type=int,
        help='side of the images in pixels (default: 448 for attention and pca where '
        'the positions allow it, else that of the network)',
    )
    parser.add_argument('--block', type=int, default=-1, help='whose attention, from 0')
    parser.add_argument(
        '--projection',
        choices=['auto', *PROJECTIONS],
        default='auto',
        help='of tsne; auto: t-SNE if scikit-learn is there, else PCA',
    )
    parser.add_argument('--score', type=float, default=0.5, help='least of a detection')
    parser.add_argument('--device', default=get_device())
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    args = parser.parse_args()
    for name in ('num', 'num_map', 'size'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be positive')
    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError):
        parser.error(f'--device {args.device} cannot be used here: take cpu')
    return args


def draw_masks(args: argparse.Namespace, cfg: Config | None) -> None:
    """Draw what the method masks and predicts; its views, if it has two."""
    if cfg is None or cfg.get('default_scope') in DENSE:
        raise ValueError('masks need the --config of a pretraining run')
    method = load_method(cfg, args.checkpoint).to(args.device)
    if method.num_views == 1:
        transform = _whole(_sides(method.backbone))
    else:
        steps = cfg.train_dataloader.dataset.transform
        with DefaultScope.overwrite_default_scope('ccmim'):
            transform = Compose([TRANSFORMS.build(step) for step in steps])
    photos = _open(args, transform, args.num)
    torch.manual_seed(0)
    picture = method_sheet(method, photos.images, caption=f'{type(method).__name__}.')
    _write(picture, args.out / 'masks.png')


def draw_features(args: argparse.Namespace, cfg: Config | None, what: str) -> None:
    """Draw attention, colors, neighbors or the map of a backbone's features."""
    if cfg is None:
        vit = load_vit(args.checkpoint)
    else:
        with DefaultScope.overwrite_default_scope('ccmim'):
            vit = MODELS.build(cfg.model.backbone).eval()
        load_backbone(vit, args.checkpoint)
    many = what in ('neighbors', 'tsne')
    size = [args.size] * 2 if args.size else _sides(vit)
    if not (many or args.size or vit.needs_all):  # positions are resampled
        size = [max(1, LARGE // vit.patch_size) * vit.patch_size] * 2
    photos = _open(args, _whole(size), args.num_map if many else args.num)
    vit, file = vit.to(args.device), args.out / f'{what}.png'
    if what == 'attention':
        picture = attention_sheet(vit, photos.images, args.block, LARGE, photos.names)
        _write(picture, file)
    elif what == 'pca':
        _write(color_sheet(vit, photos.images, LARGE, photos.names), file)
    elif what == 'neighbors':
        _write(neighbor_sheet(vit, photos.images, args.num), file)
    else:
        with replacing(file) as part:
            map_figure(vit, photos.images, args.projection).savefig(part)
        say(file)


def draw_dense(args: argparse.Namespace, cfg: Config | None) -> None:
    """Draw predictions of one or two checkpoints beside the truth."""
    from ccmim.dense.predictions import draw_rows

    if cfg is None:
        raise ValueError('predictions need a detection or segmentation --config')
    names = _open(args, _whole((8, 8)), args.num).names
    checkpoints = {name_of(args.checkpoint): args.checkpoint}
    if args.compare:
        checkpoints[name_of(args.compare)] = args.compare
    if args.compare and len(checkpoints) == 1:
        checkpoints = {str(f): f for f in (args.checkpoint, args.compare)}
    rows = draw_rows(cfg, checkpoints, names, SIDE, args.device, args.score)
    _write(np.concatenate(rows), args.out / 'predictions.png')


def draw_queries(args: argparse.Namespace, cfg: Config | None) -> None:
    """Draw what the queries of an EoMT take and look at."""
    from ccmim.dense.query_pictures import load_eomt_run, query_sheet

    if cfg is None or cfg.get('default_scope') not in DENSE:
        raise ValueError('queries need the --config of an EoMT')
    model = load_eomt_run(cfg, args.checkpoint).to(args.device)
    photos = _open(args, _whole(_sides(model.backbone)), args.num)
    _write(query_sheet(model, photos.images), args.out / 'queries.png')


_DRAW = dict(masks=draw_masks, predictions=draw_dense, queries=draw_queries)


def name_of(checkpoint: Path) -> str:
    """Name a checkpoint by its folder, as files of runs are all called alike."""
    name = name_of_weights(checkpoint)
    return f'{checkpoint.resolve().parent.name}/{name}' if checkpoint.exists() else name


def main() -> None:
    """Draw, and say what was written."""
    args = parse_args()
    try:
        cfg = read_config(args.config, None, args.cfg_options) if args.config else None
        dense = cfg is not None and cfg.get('default_scope') in DENSE
        usual = ('predictions', 'queries') if dense else WHAT[:-2]
        for what in args.what or usual:
            try:
                if what in FEATURES:
                    draw_features(args, None if dense else cfg, what)
                else:
                    _DRAW[what](args, cfg)
            except ValueError as error:
                if args.what or what not in LESS_OFTEN:
                    raise
                say(f'{what}: left out, {error}')
    except (ValueError, OSError, ImportError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)


def _open(
    args: argparse.Namespace, transform: Callable[[Any], Any], count: int
) -> Photos:
    photos = open_photos(args.images, transform, count)
    for line in photos.skipped:
        say(f'skipped {line}', file=sys.stderr)
    return photos


def _whole(size: Sequence[int]) -> Compose:
    return Compose([ResizeCenterCrop(size, crop_ratio=1.0), ToUint8Tensor()])


def _sides(vit: nn.Module) -> list[int]:
    return [side * vit.patch_size for side in vit.grid]


def _write(picture: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as part:
        Image.fromarray(picture).save(part)
    say(file)


if __name__ == '__main__':
    main()
