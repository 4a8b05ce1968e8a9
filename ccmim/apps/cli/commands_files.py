"""The options of the commands that read and write files, and train nothing."""

from pathlib import Path
from typing import Any

from ccmim.apps.cli.arguments import add_image_size, add_told, command, positive
from ccmim.apps.cli.parsers import Parser

LAYOUTS = ('timm', 'hf', 'mmseg', 'mmpretrain', 'safetensors', 'ccmim', 'onnx')


def _predict(commands: Any) -> Parser:
    parser = command(
        commands,
        'predict',
        'Let a trained classifier, detector or segmentor look at photos',
        'CHECKPOINT is of a run of tools/train.py or ccmim transfer, and knows its\n'
        'config. PHOTOS are what pretrain takes. In the folder of --out are pictures/\n'
        'and, of a classifier, predictions.csv with the probability of each class; of\n'
        'a detector, predictions.json in the format of COCO (with scores); of a\n'
        'segmentor, maps/ of class numbers and classes.txt.\n\nexamples:\n'
        '  ccmim predict work_dirs/my_detector/iter_400.pth photos --out seen\n'
        '  ccmim predict CHECKPOINT photo.jpg --score 0.5',
    )
    parser.add_argument(
        'checkpoint', metavar='CHECKPOINT', help='file written by tools/train.py'
    )
    parser.add_argument('photos', nargs='+', metavar='PHOTOS', help='see above')
    parser.add_argument(
        '--out', type=Path, default=Path('predictions'), metavar='DIR', help='folder'
    )
    parser.add_argument(
        '--score', type=float, default=0.3, help='least score of an object'
    )
    parser.add_argument(
        '--config',
        type=Path,
        metavar='FILE',
        help='another one than the checkpoint has',
    )
    parser.add_argument('--device', help='such as cpu or cuda:0')
    return parser


def _embed(commands: Any) -> Parser:
    parser = command(
        commands,
        'embed',
        'Write a feature of each photo into a file',
        'PHOTOS are what pretrain takes. A .csv or .parquet file has a row for each\n'
        'photo with its name; beside a .npy file stands the list of names. Photos\n'
        'that cannot be read are left out and listed.\n\nexamples:\n'
        '  ccmim embed photos --weights epoch_60.pth --out x.csv\n'
        '  ccmim embed photos --weights epoch_60.pth --out x.npy --duplicates\n'
        '  ccmim embed photos --weights epoch_60.pth --out x.npy --nearest a.jpg',
    )
    parser.add_argument('data', nargs='+', metavar='PHOTOS', help='see above')
    parser.add_argument(
        '--weights',
        required=True,
        metavar='WEIGHTS',
        help='file, folder, timm:NAME or hf:OWNER/NAME',
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='.csv, .npy, .parquet'
    )
    parser.add_argument(
        '--pool',
        choices=('class', 'average', 'both', 'patches'),
        default='class',
        help='which feature: class token, average of the patches, both, or one of '
        'each patch (float16, .npy)',
    )
    parser.add_argument(
        '--nearest',
        nargs='+',
        default=[],
        metavar='PHOTO',
        help='show the photos that are most alike',
    )
    parser.add_argument(
        '--duplicates', action='store_true', help='list photos that are almost the same'
    )
    parser.add_argument(
        '--least',
        type=float,
        default=0.95,
        metavar='S',
        help='similarity of near-duplicates, at most 1 (default: 0.95)',
    )
    add_image_size(parser)
    parser.add_argument('--batch-size', type=positive, default=32, metavar='N')
    parser.add_argument('--device', help='such as cpu or cuda:0')
    add_told(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace FILE')
    return parser


def _export(commands: Any) -> Parser:
    parser = command(
        commands,
        'export',
        'Write pretrained weights for another library',
        'Every tensor is accounted for and read back; the ONNX graph is compared with\n'
        'PyTorch where onnxruntime is installed. It takes RGB in 0..255, in any batch\n'
        'and size. CHECKPOINT may be of any project.\n'
        '\nexamples:\n  ccmim export work_dirs/photos_mae/epoch_60.pth --to timm\n'
        '  ccmim export epoch_60.pth --to hf   # transformers: pipeline(model=FOLDER)\n'
        '  ccmim export epoch_60.pth --to onnx --fp16 --out vit.onnx\n'
        '  ccmim export linear.pth --to onnx --whole',
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT')
    parser.add_argument('--to', choices=LAYOUTS, required=True, metavar='LAYOUT',
        help=f'one of {", ".join(LAYOUTS)}')  # fmt: skip
    parser.add_argument(
        '--out', type=Path, help='file; a folder for hf (default: beside it)'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='of the images, for onnx (default: any, where the positions allow it)',
    )
    parser.add_argument(
        '--fp16', action='store_true', help='compute in float16, for onnx'
    )
    parser.add_argument(
        '--whole',
        action='store_true',
        help='all of a trained classifier or segmentor, for onnx',
    )
    add_told(parser)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace what is there'
    )
    return parser


def _check(commands: Any) -> Parser:
    parser = command(
        commands,
        'check',
        'Look for damaged images and wrong annotations before they cost time',
        'DATA is what pretrain or transfer takes, or a config (.py). Exit code 1 if\n'
        'something is wrong.\n\nexamples:\n  ccmim check photos --out bad_files.txt\n'
        '  ccmim check coco --picture sheet.png',
    )
    parser.add_argument('data', nargs='+', metavar='DATA')
    parser.add_argument('--out', metavar='FILE', help='list of bad images to write')
    parser.add_argument(
        '--picture', type=Path, metavar='FILE', help='annotations, drawn'
    )
    parser.add_argument('--workers', type=positive, metavar='N', help='processes')
    return parser


def _doctor(commands: Any) -> Parser:
    return command(
        commands,
        'doctor',
        'Say what is installed, try it, and say how to mend what is wrong',
        'example:\n  ccmim doctor',
    )


def _report(commands: Any) -> Parser:
    parser = command(
        commands,
        'report',
        'Write one HTML page about one or several runs',
        'Curves, pictures, tables, differences of configs; opens from the disk.\n'
        '\nexample:\n  ccmim report work_dirs/photos_ccmim work_dirs/photos_mae',
    )
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    parser.add_argument('--out', type=Path, metavar='FILE', help='page to write')
    return parser


FILE_COMMANDS = (_embed, _predict, _export, _check, _doctor, _report)
