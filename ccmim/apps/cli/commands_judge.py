"""The options of the commands that judge frozen features."""

from pathlib import Path
from typing import Any

from ccmim.apps.cli.arguments import (
    add_checkpoint,
    add_dtype,
    add_ignore_zero,
    add_image_size,
    add_weight_options,
    command,
    positive,
)
from ccmim.apps.cli.parsers import Parser


def _knn(commands: Any) -> Parser:
    parser = command(
        commands,
        'knn',
        'Classify photos by k-NN on frozen features',
        'FOLDER holds train/CLASS/*.jpg and val/CLASS/*.jpg, or CLASS/*.jpg, of which\n'
        'every fifth photo is used for testing.\n\nexamples:\n'
        '  ccmim knn work_dirs/photos_mae/epoch_60.pth --data FOLDER\n'
        '  ccmim knn timm:vit_small_patch14_dinov2.lvd142m --data FOLDER --linear',
    )
    add_checkpoint(parser, 'weights')
    parser.add_argument(
        '--data', type=Path, required=True, metavar='FOLDER', help='class folders'
    )
    parser.add_argument(
        '--k', nargs='+', type=positive, metavar='K', help='neighbors (default: 20)'
    )
    parser.add_argument(
        '--linear', action='store_true', help='fit a linear probe as well'
    )
    parser.add_argument(
        '--random', action='store_true', help='evaluate random weights as well'
    )
    add_image_size(parser)
    add_dtype(parser)
    parser.add_argument('--out', type=Path, metavar='DIR', help='output folder')
    return parser


def _judge(commands: Any) -> Parser:
    parser = command(
        commands,
        'judge',
        'Compare frozen dense features of several checkpoints',
        'LABELED is as for transfer. The labels decide what is measured:\n\n'
        '  segmentation maps, masks   dense NN retrieval (Hummingbird), k-means and a\n'
        '                             linear probe: mIoU over pixels\n'
        '  boxes                      object discovery (LOST): CorLoc\n'
        '  class folders              k-NN accuracy\n'
        '  any                        cosine similarity and rank of class tokens\n\n'
        'Differences to the first checkpoint come with a 95 % bootstrap interval over\n'
        'the photos. Features are cached in --out.\n\n'
        'examples:\n'
        '  ccmim judge timm:vit_small_patch14_dinov2.lvd142m --data camvid\n'
        '  ccmim judge START work_dirs/photos_mae/epoch_10.pth --data camvid',
    )
    parser.add_argument(
        'weights', nargs='+', metavar='WEIGHTS',
        help='file, folder, timm:NAME or hf:OWNER/NAME; the first is the reference',
    )  # fmt: skip
    parser.add_argument(
        '--data', type=Path, required=True, metavar='LABELED', help='see above'
    )
    parser.add_argument(
        '--image-size', type=positive, nargs='+', metavar='PX',
        help='size to which photos are resized: side, or height and width (default: '
        'that of the weights, at most 224 and four times that of the photos)',
    )  # fmt: skip
    parser.add_argument(
        '--images', type=positive, default=1000, metavar='N',
        help='maximum number of photos per split (default: 1000)',
    )  # fmt: skip
    parser.add_argument(
        '--k', type=positive, default=30, help='neighbors per patch (default: 30)'
    )
    parser.add_argument(
        '--memory', type=positive, default=100_000, metavar='N',
        help='size of the memory bank, in patches (default: 100000)',
    )  # fmt: skip
    parser.add_argument(
        '--random', action='store_true', help='evaluate random weights as well'
    )
    parser.add_argument(
        '--out', type=Path, metavar='DIR',
        help='output folder (default: work_dirs/judge_NAME)',
    )  # fmt: skip
    add_dtype(parser)
    add_weight_options(parser)
    add_ignore_zero(parser)
    return parser


JUDGE_COMMANDS = (_knn, _judge)
