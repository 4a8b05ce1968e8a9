"""The options of the commands that read and write files, and train nothing."""

from pathlib import Path
from typing import Any

from ccmim.apps.cli.arguments import (
    add_image_size,
    add_weight_options,
    command,
    positive,
)
from ccmim.apps.cli.parsers import Parser

LAYOUTS = ('timm', 'hf', 'mmseg', 'mmpretrain', 'safetensors', 'ccmim', 'onnx')


def _predict(commands: Any) -> Parser:
    parser = command(
        commands,
        'predict',
        'Predict with a trained classifier, detector or segmentor',
        'CHECKPOINT was written by tools/train.py or ccmim transfer, with its config.\n'
        'PHOTOS is as for pretrain. The output folder gets pictures/ and\n\n'
        '  classifier   predictions.csv with the probability of each class\n'
        '  detector     predictions.json, COCO results with scores\n'
        '  segmentor    maps/ of class indices, and classes.txt\n\nexamples:\n'
        '  ccmim predict work_dirs/my_detector/iter_400.pth photos --out seen\n'
        '  ccmim predict CHECKPOINT photo.jpg --score 0.5',
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='trained model')
    parser.add_argument('photos', nargs='+', metavar='PHOTOS', help='see above')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('predictions'),
        metavar='DIR',
        help='output folder',
    )
    parser.add_argument(
        '--score',
        type=float,
        default=0.3,
        help='score threshold for objects (default: 0.3)',
    )
    parser.add_argument(
        '--config',
        type=Path,
        metavar='FILE',
        help='use this config instead of the one in the checkpoint',
    )
    parser.add_argument('--device', help='for example cpu or cuda:0')
    return parser


def _embed(commands: Any) -> Parser:
    parser = command(
        commands,
        'embed',
        'Save a feature vector for each photo',
        'PHOTOS is as for pretrain. A .csv or .parquet file has one row per photo,\n'
        'with its name; a .npy file comes with a separate list of names. Photos that\n'
        'cannot be read are skipped and listed.\n\nexamples:\n'
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
        help='class token, average of the patches, both, or all patches (float16, '
        '.npy)',
    )
    parser.add_argument(
        '--nearest',
        nargs='+',
        default=[],
        metavar='PHOTO',
        help='print the most similar photos',
    )
    parser.add_argument(
        '--duplicates', action='store_true', help='list near-duplicates'
    )
    parser.add_argument(
        '--least',
        type=float,
        default=0.95,
        metavar='S',
        help='minimum similarity of near-duplicates, at most 1 (default: 0.95)',
    )
    add_image_size(parser, '224')
    parser.add_argument('--batch-size', type=positive, default=32, metavar='N')
    parser.add_argument('--device', help='for example cpu or cuda:0')
    add_weight_options(parser)
    parser.add_argument('--overwrite', action='store_true', help='replace FILE')
    return parser


def _export(commands: Any) -> Parser:
    parser = command(
        commands,
        'export',
        'Convert pretrained weights for another library',
        'CHECKPOINT is in any format that ccmim reads. Every tensor must be accounted\n'
        'for, and the result is read back. An ONNX graph takes RGB in 0..255, with\n'
        'any batch and image size, and is compared with PyTorch if onnxruntime is\n'
        'installed.\n'
        '\nexamples:\n  ccmim export work_dirs/photos_mae/epoch_60.pth --to timm\n'
        '  ccmim export epoch_60.pth --to hf   # transformers: pipeline(model=FOLDER)\n'
        '  ccmim export epoch_60.pth --to onnx --fp16 --out vit.onnx\n'
        '  ccmim export linear.pth --to onnx --whole   # boxes and masks of a detector',
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT')
    parser.add_argument('--to', choices=LAYOUTS, required=True, metavar='LAYOUT',
        help=f'one of {", ".join(LAYOUTS)}')  # fmt: skip
    parser.add_argument(
        '--out', type=Path, help='file, or folder for hf (default: next to CHECKPOINT)'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='onnx: fixed image size (default: any, if the positions allow it)',
    )
    parser.add_argument('--fp16', action='store_true', help='onnx: compute in float16')
    parser.add_argument(
        '--whole',
        action='store_true',
        help='onnx: export a complete classifier, detector or segmentor',
    )
    add_weight_options(parser)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace existing output'
    )
    return parser


def _check(commands: Any) -> Parser:
    parser = command(
        commands,
        'check',
        'Find damaged images and wrong annotations',
        'DATA is as for pretrain or transfer, or a config (.py). Exits with 1 if\n'
        'there is a problem.\n\nexamples:\n  ccmim check photos --out bad_files.txt\n'
        '  ccmim check coco --picture labels.png',
    )
    parser.add_argument('data', nargs='+', metavar='DATA')
    parser.add_argument(
        '--out', metavar='FILE', help='write the list of bad images here'
    )
    parser.add_argument(
        '--picture',
        type=Path,
        metavar='FILE',
        help='draw the annotations of some images here',
    )
    parser.add_argument('--workers', type=positive, metavar='N', help='processes')
    return parser


def _doctor(commands: Any) -> Parser:
    return command(
        commands,
        'doctor',
        'Check the installation, and say how to fix problems',
        'example:\n  ccmim doctor',
    )


def _report(commands: Any) -> Parser:
    parser = command(
        commands,
        'report',
        'Write one HTML page about one or more runs',
        'Curves, pictures, tables and config differences, in a self-contained file.\n'
        '\nexample:\n  ccmim report work_dirs/photos_ccmim work_dirs/photos_mae',
    )
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    parser.add_argument('--out', type=Path, metavar='FILE', help='the page')
    return parser


FILE_COMMANDS = (_embed, _predict, _export, _check, _doctor, _report)
