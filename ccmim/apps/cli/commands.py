"""The options of the commands that train or measure."""

from pathlib import Path
from typing import Any

from ccmim.api.catalogue import list_methods
from ccmim.apps.cli.arguments import (
    add_checkpoint,
    add_dtype,
    add_ignore_zero,
    add_image_size,
    command,
    positive,
)
from ccmim.apps.cli.commands_files import FILE_COMMANDS
from ccmim.apps.cli.commands_judge import JUDGE_COMMANDS
from ccmim.apps.cli.parsers import Parser

SIZES = ('tiny', 'small', 'base', 'large')
HEADS = ('mask_rcnn', 'upernet', 'eomt')


def _demo(commands: Any) -> Parser:
    parser = command(
        commands,
        'demo',
        'Pretrain and evaluate on synthetic scenes, and write a report',
        'Pretrains small ViTs and compares them with random weights. Takes a minute\n'
        'or two on two CPU cores, and needs no network.\n'
        '\nexample:\n  ccmim demo',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/demo'), help='output folder'
    )
    parser.add_argument('--images', type=Path, help='pretrain on these photos instead')
    parser.add_argument(
        '--full',
        action='store_true',
        help='as bash tools/quickstart.sh: some minutes, for meaningful scores',
    )
    return parser


def _pretrain(commands: Any) -> Parser:
    parser = command(
        commands,
        'pretrain',
        'Pretrain a Vision Transformer on images without labels',
        'DATA is a folder (searched recursively), a list of paths (.txt), tar or zip\n'
        'files, a quoted glob pattern, or several of these. Settings that you do not\n'
        'give are chosen for your photos and machine, and printed:\n\n'
        '  no GPU               ViT-Ti/16, 128 px, batch 64, about 60,000 samples\n'
        '  GPU below 12 GB      ViT-S/16, 224 px, batch 64, about 10 million samples\n'
        '  GPU of 12 to 40 GB   ViT-B/16, 224 px, batch 128\n'
        '  GPU above 40 GB      ViT-B/16, 224 px, batch 256\n'
        '  photos below 64 px   ViT-Ti/4, 32 px\n\n'
        'Run the same command again to resume an interrupted run.\n\n'
        'examples:\n  ccmim pretrain photos\n'
        '  ccmim pretrain photos more/*.tar --method ccmim --epochs 20 --out runs/a\n'
        '  ccmim pretrain photos --init timm:vit_small_patch14_dinov2.lvd142m\n'
        '  ccmim pretrain photos --teacher WEIGHTS --size tiny\n'
        '  ccmim pretrain photos --dry-run',
    )
    parser.add_argument('data', nargs='+', metavar='DATA', help='images, see above')
    parser.add_argument(
        '--method', choices=list_methods(), metavar='NAME',
        help=f'one of {", ".join(list_methods())} (default: mae, best in our study; '
        'from weights ccmim; with a teacher relational_distill)',
    )  # fmt: skip
    parser.add_argument('--size', choices=SIZES, help='model size')
    parser.add_argument(
        '--init', metavar='WEIGHTS',
        help='initial weights: file, folder, timm:NAME or hf:OWNER/NAME',
    )  # fmt: skip
    parser.add_argument(
        '--lora', type=positive, metavar='R',
        help='train adapters of rank R in place of the weights of --init (needs peft)',
    )  # fmt: skip
    parser.add_argument(
        '--teacher',
        metavar='WEIGHTS',
        help='weights to distill, as for --init: by relational_distill or maskdistill',
    )
    parser.add_argument(
        '--cache-teacher', type=positive, nargs='?', const=20, metavar='GB',
        help='compute its features once and keep up to so many GB of them in '
        'teacher_features (default: 20); photos are then not cropped',
    )  # fmt: skip
    parser.add_argument('--image-size', type=positive, metavar='PX', help='side length')
    parser.add_argument('--epochs', type=positive, metavar='N')
    parser.add_argument('--batch-size', type=positive, metavar='N')
    parser.add_argument(
        '--workers', type=positive, metavar='N', help='data loading processes'
    )
    parser.add_argument(
        '--out', '--work-dir', type=Path, metavar='DIR',
        help='output folder (default: work_dirs/FOLDER_METHOD)',
    )  # fmt: skip
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        '--resume',
        action='store_true',
        help='resume the run in DIR, with its own settings',
    )
    again.add_argument('--overwrite', action='store_true', help='start over in DIR')
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='print the settings and estimates, without training',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='override any other key of the config',
    )  # fmt: skip
    return parser


def _transfer(commands: Any) -> Parser:
    parser = command(
        commands,
        'transfer',
        'Evaluate pretrained weights on labeled data',
        'The labels decide what is trained and tested:\n\n'
        '  train/CLASS/*.jpg, val/CLASS/*.jpg       k-NN and linear probe\n'
        '  COCO, YOLO, Pascal VOC, LabelMe: masks   Mask R-CNN: box AP, mask AP\n'
        '  the same without masks                   Faster R-CNN: box AP\n'
        '  images/ + annotations/*.png (ADE20K)     UperNet: mIoU\n'
        '  masks or maps, with --heads eomt         EoMT: the same metrics\n\n'
        'Without a split, every fifth image is used for testing. Every task is run\n'
        'from the checkpoint and from random weights; finished runs are not repeated.\n'
        'The trained models are kept, for ccmim predict and ccmim export.\n\n'
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
        help='labeled data',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='output folder (default: CHECKPOINT_transfer; --fast adds _fast)',
    )
    parser.add_argument(
        '--fast', action='store_true', help='smoke test: a few steps on a few images'
    )
    parser.add_argument(
        '--full', action='store_true', help='use the published recipes, for GPUs'
    )
    _add_heads(parser)
    add_image_size(parser)
    add_dtype(parser)
    parser.add_argument('--steps', type=positive, metavar='N', help='fine-tuning steps')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='S')
    parser.add_argument(
        '--fractions',
        nargs='+',
        type=float,
        default=[1.0],
        metavar='F',
        help='fractions of the labels to train with, such as 0.1 0.3 1',
    )
    parser.add_argument(
        '--folds',
        type=int,
        default=0,
        metavar='K',
        help='without a split: K-fold cross-validation (default: 5 for the probes of '
        'fewer than 1,000 photos, else every fifth photo is used for testing)',
    )
    parser.add_argument(
        '--finetune',
        action='store_true',
        help='class folders: fine-tune a classifier as well',
    )
    parser.add_argument(
        '--jobs',
        type=positive,
        metavar='N',
        help='parallel runs (default: number of GPUs, else 2)',
    )
    add_ignore_zero(parser)
    return parser


def _leaf(commands: Any) -> Parser:
    parser = command(
        commands,
        'leaf',
        'Write the config that transfer would use, ready to edit',
        'DATA is as for transfer. The config is printed to stdout: a few lines on top\n'
        'of a config of mm_configs, with your classes, folders and weights. Run it\n'
        'with tools/train.py (for class folders: tools/knn.py --config).\n\nexamples:\n'
        '  ccmim leaf data/pets --backbone WEIGHTS > my_detector.py\n'
        '  ccmim leaf data/rooms --backbone WEIGHTS --full > my_segmentor.py',
    )
    parser.add_argument('data', type=Path, metavar='DATA', help='labeled data')
    add_checkpoint(parser, '--backbone')
    parser.add_argument(
        '--full', action='store_true', help='use the published recipes, for GPUs'
    )
    parser.add_argument('--steps', type=positive, metavar='N', help='fine-tuning steps')
    parser.add_argument(
        '--lists',
        type=Path,
        metavar='DIR',
        help='where to write a split if DATA has none (default: work_dirs/NAME_split)',
    )
    parser.add_argument('--head', choices=HEADS, help='as --heads of ccmim transfer')
    add_image_size(parser)
    add_ignore_zero(parser)
    return parser


def _add_heads(parser: Parser) -> None:
    parser.add_argument(
        '--heads',
        nargs='+',
        choices=HEADS,
        help='models to train on masks and segmentation maps (default: mask_rcnn for '
        'masks, upernet for maps)',
    )


COMMANDS = (_demo, _pretrain, _transfer, _leaf, *JUDGE_COMMANDS, *FILE_COMMANDS)
