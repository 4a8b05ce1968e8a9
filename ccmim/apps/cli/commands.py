"""The options of the commands that train or measure."""

from pathlib import Path
from typing import Any

from ccmim.api.catalogue import list_methods
from ccmim.apps.cli.arguments import (
    add_checkpoint,
    add_image_size,
    add_told,
    command,
    positive,
)
from ccmim.apps.cli.commands_files import FILE_COMMANDS
from ccmim.apps.cli.parsers import Parser

SIZES = ('tiny', 'small', 'base', 'large')
HEADS = ('mask_rcnn', 'upernet', 'eomt')


def _demo(commands: Any) -> Parser:
    parser = command(
        commands,
        'demo',
        'Run the whole chain on built-in toy scenes, and write a report',
        'Pretrains a small ViT, fine-tunes Mask R-CNN and UperNet from it and from\n'
        'scratch, and compares. A minute or two on two CPU cores, without a network.\n'
        '\nexample:\n  ccmim demo',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/demo'), help='where all goes'
    )
    parser.add_argument('--images', type=Path, help='pretrain on these photos instead')
    parser.add_argument(
        '--full',
        action='store_true',
        help='as bash tools/quickstart.sh: some minutes, and figures that hold',
    )
    return parser


def _pretrain(commands: Any) -> Parser:
    parser = command(
        commands,
        'pretrain',
        'Pretrain a Vision Transformer on images without labels',
        'DATA is a folder (searched with all its subfolders), a list of paths (.txt),\n'
        'tars (.tar), zips, a pattern of these in quotes, or several of them. What is\n'
        'not given is chosen for the photos and the machine, and printed:\n\n'
        '  no GPU               ViT-Ti/16, 128 px, batch 64, about 60,000 images seen\n'
        '  GPU below 12 GB      ViT-S/16, 224 px, batch 64, about 10 million seen\n'
        '  GPU of 12 to 40 GB   ViT-B/16, 224 px, batch 128\n'
        '  GPU above 40 GB      ViT-B/16, 224 px, batch 256\n'
        '  photos below 64 px   ViT-Ti/4, 32 px\n\n'
        'A run that was interrupted resumes when the same command is given again.\n\n'
        'examples:\n  ccmim pretrain photos\n'
        '  ccmim pretrain photos more/*.tar --method ccmim --epochs 20 --out runs/a\n'
        '  ccmim pretrain photos --init timm:vit_small_patch14_dinov2.lvd142m\n'
        '  ccmim pretrain photos --method maskdistill --teacher WEIGHTS\n'
        '  ccmim pretrain photos --dry-run',
    )
    parser.add_argument('data', nargs='+', metavar='DATA', help='images, see above')
    parser.add_argument(
        '--method', choices=list_methods(), default='mae', metavar='NAME',
        help=f'one of {", ".join(list_methods())} (default: mae, ahead in our study)',
    )  # fmt: skip
    parser.add_argument('--size', choices=SIZES, help='of the Vision Transformer')
    parser.add_argument(
        '--init', metavar='WEIGHTS',
        help='begin from these: file, folder, timm:NAME or hf:OWNER/NAME',
    )  # fmt: skip
    parser.add_argument(
        '--teacher',
        metavar='WEIGHTS',
        help='of --method maskdistill or relational_distill, likewise',
    )
    parser.add_argument('--image-size', type=positive, metavar='PX', help='side')
    parser.add_argument('--epochs', type=positive, metavar='N')
    parser.add_argument('--batch-size', type=positive, metavar='N')
    parser.add_argument('--workers', type=positive, metavar='N', help='of the loader')
    parser.add_argument(
        '--out', '--work-dir', type=Path, metavar='DIR',
        help='where all goes (default: work_dirs/FOLDER_METHOD)',
    )  # fmt: skip
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        '--resume',
        action='store_true',
        help='resume the run in DIR with its settings',
    )
    again.add_argument('--overwrite', action='store_true', help='start again in DIR')
    parser.add_argument(
        '--dry-run', action='store_true', help='only say what would be done'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='any other setting of the config',
    )  # fmt: skip
    return parser


def _transfer(commands: Any) -> Parser:
    parser = command(
        commands,
        'transfer',
        'Measure what pretrained weights are worth on labelled data: one table',
        'What a folder of --data is, is found out:\n\n'
        '  train/CLASS/*.jpg, val/CLASS/*.jpg       k-NN and linear probe\n'
        '  COCO, YOLO, Pascal VOC, LabelMe: masks   Mask R-CNN: box AP, mask AP\n'
        '  the same without masks                   Faster R-CNN: box AP\n'
        '  images/ + annotations/*.png (ADE20K)     UperNet: mIoU\n'
        '  masks or maps, with --heads eomt         EoMT: the same figures\n\n'
        'Without a split every fifth image is kept for testing. Each is done from the\n'
        'checkpoint and from random weights; what is done is not done again. What was\n'
        'trained is kept, for ccmim predict and ccmim export.\n\n'
        'examples:\n'
        '  ccmim transfer work_dirs/photos_mae/epoch_60.pth --data mydata\n'
        '  ccmim transfer CHECKPOINT --data cifar10 coco ade --fast\n'
        '  ccmim transfer timm:vit_small_patch14_dinov2.lvd142m --data mydata',
    )
    add_checkpoint(parser)
    parser.add_argument(
        '--data',
        nargs='+',
        type=Path,
        required=True,
        metavar='DIR',
        help='labelled data',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='where all goes (default: CHECKPOINT_transfer; --fast adds _fast)',
    )
    parser.add_argument(
        '--fast', action='store_true', help='some steps on some images: does it work?'
    )
    parser.add_argument(
        '--full', action='store_true', help='the recipes of the papers, for GPUs'
    )
    _add_heads(parser)
    add_image_size(parser)
    parser.add_argument('--steps', type=positive, metavar='N', help='of fine-tuning')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='S')
    parser.add_argument(
        '--fractions',
        nargs='+',
        type=float,
        default=[1.0],
        metavar='F',
        help='of the labels to train with, such as 0.1 0.3 1: a curve',
    )
    parser.add_argument(
        '--folds',
        type=int,
        default=0,
        metavar='K',
        help='where there is no split: test each image by what the other folds teach '
        '(default: 5 for the probes of fewer than 1,000 photos, else every fifth '
        'photo is kept for testing)',
    )
    parser.add_argument(
        '--finetune',
        action='store_true',
        help='class folders: fine-tune a classifier, too',
    )
    parser.add_argument(
        '--jobs',
        type=positive,
        metavar='N',
        help='runs at a time (default: the GPUs, else 2)',
    )
    _add_ignore_zero(parser)
    return parser


def _leaf(commands: Any) -> Parser:
    parser = command(
        commands,
        'leaf',
        'Write the config that transfer would use, ready to edit',
        'DATA is what transfer takes. The config goes to stdout: a few lines on top\n'
        'of mm_configs, with your classes, folders and weights. Run it by\n'
        'tools/train.py (of class folders: by tools/knn.py --config).\n\nexamples:\n'
        '  ccmim leaf data/pets --backbone WEIGHTS > my_detector.py\n'
        '  ccmim leaf data/rooms --backbone WEIGHTS --full > my_segmentor.py',
    )
    parser.add_argument('data', type=Path, metavar='DATA', help='labelled')
    add_checkpoint(parser, '--backbone')
    parser.add_argument(
        '--full', action='store_true', help='the recipes of the papers, for GPUs'
    )
    parser.add_argument('--steps', type=positive, metavar='N', help='of fine-tuning')
    parser.add_argument(
        '--lists',
        type=Path,
        metavar='DIR',
        help='where the lists of a split go that DATA does not have (default: '
        'work_dirs/NAME_split)',
    )
    parser.add_argument('--head', choices=HEADS, help='see --heads of ccmim transfer')
    add_image_size(parser)
    _add_ignore_zero(parser)
    return parser


def _knn(commands: Any) -> Parser:
    parser = command(
        commands,
        'knn',
        'Classify photos by those whose features are nearest: nothing is trained',
        'FOLDER holds train/CLASS/*.jpg and val/CLASS/*.jpg, or CLASS/*.jpg, of which\n'
        'every fifth photo is kept for testing.\n\nexamples:\n'
        '  ccmim knn work_dirs/photos_mae/epoch_60.pth --data FOLDER\n'
        '  ccmim knn timm:vit_small_patch14_dinov2.lvd142m --data FOLDER --linear',
    )
    add_checkpoint(parser, 'weights')
    parser.add_argument(
        '--data', type=Path, required=True, metavar='FOLDER', help='of class folders'
    )
    parser.add_argument(
        '--k', nargs='+', type=positive, metavar='K', help='neighbors (default: 20)'
    )
    parser.add_argument(
        '--linear', action='store_true', help='fit a linear probe as well'
    )
    parser.add_argument(
        '--random', action='store_true', help='measure random weights as well'
    )
    add_image_size(parser)
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='where config and table are kept'
    )
    return parser


def _judge(commands: Any) -> Parser:
    parser = command(
        commands,
        'judge',
        'Compare dense features of several weights in minutes: nothing is trained',
        'LABELED is what transfer takes. Maps and masks: dense NN retrieval\n'
        "(Hummingbird's protocol), k-means, a linear probe, all as mIoU over pixels;\n"
        'boxes: object discovery (CorLoc); class folders: k-NN; all: how alike class\n'
        'tokens are, and their rank. Differences to the first weights stand beside,\n'
        'with the 95 % that other photos would give. Features are kept in --out.\n\n'
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
        help='side, or height and width, to which photos are squeezed (default: that '
        'of the weights, 224 at most)',
    )  # fmt: skip
    parser.add_argument(
        '--images', type=positive, default=1000, metavar='N',
        help='photos of each split, at most (default: 1000)',
    )  # fmt: skip
    parser.add_argument(
        '--k', type=positive, default=30, help='neighbors of a patch (default: 30)'
    )
    parser.add_argument(
        '--memory', type=positive, default=100_000, metavar='N',
        help='patches that are remembered, those of rare classes first (default: '
        '100000)',
    )  # fmt: skip
    parser.add_argument(
        '--random', action='store_true', help='judge random weights as well'
    )
    parser.add_argument(
        '--out', type=Path, metavar='DIR',
        help='where table, pictures and features go (default: work_dirs/judge_NAME)',
    )  # fmt: skip
    add_told(parser)
    _add_ignore_zero(parser)
    return parser


def _add_heads(parser: Parser) -> None:
    parser.add_argument(
        '--heads',
        nargs='+',
        choices=HEADS,
        help='of masks and maps: several make several columns of the table (default: '
        'mask_rcnn for objects, upernet for maps)',
    )


def _add_ignore_zero(parser: Parser) -> None:
    parser.add_argument(
        '--ignore-zero',
        action='store_true',
        help='0 in masks is no class, as in ADE20K',
    )


COMMANDS = (_demo, _pretrain, _transfer, _leaf, _knn, _judge, *FILE_COMMANDS)
