"""The options of every command. Imports no library, so that --help is fast."""

import argparse
import difflib
import os
from pathlib import Path
from typing import Any, NoReturn

from ccmim import __version__
from ccmim.api.catalogue import list_methods
from ccmim.apps.cli.mistakes import Mistake

SIZES = ('tiny', 'small', 'base', 'large')
LAYOUTS = ('timm', 'hf', 'mmseg', 'mmpretrain', 'safetensors', 'ccmim', 'onnx')

_ABOUT = """Unlabelled images in, a pretrained Vision Transformer out.

  ccmim demo                                  the whole chain on built-in scenes
  ccmim pretrain PHOTOS                       pretrain on a folder of your own
  ccmim transfer CHECKPOINT --data LABELLED   what it is worth: one table
  ccmim report work_dirs/RUN                  one page with curves and pictures
"""
_MORE = """Every command has --help with an example. All of it stands on tools/*.py and
mm_configs/, OpenMMLab's way to the same functions."""


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are raised, with the nearest word that exists."""

    def error(self, message: str) -> NoReturn:
        """Raise a Mistake."""
        raise Mistake(message.replace('\n', ' '), f'see: {self.prog} --help')

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            near = difflib.get_close_matches(str(value), choices, n=1)
            name = '/'.join(action.option_strings) or 'command'
            how = f'did you mean {near[0]}?' if near else f'see: {self.prog} --help'
            raise Mistake(
                f'{name} {value!r} is unknown: there are {", ".join(choices)}', how
            )


def make_parser() -> Parser:
    """Make the parser of ``ccmim`` and all its commands."""
    parser = Parser('ccmim', description=_ABOUT, epilog=_MORE, **_FORMAT)
    parser.add_argument('--version', action='version', version=f'ccmim {__version__}')
    commands = parser.add_subparsers(
        dest='command', metavar='COMMAND', title='commands'
    )
    for add in (_demo, _pretrain, _transfer, _export, _check, _doctor, _report):
        command = add(commands)
        command.add_argument(
            '--debug',
            action='store_true',
            default=os.environ.get('CCMIM_DEBUG') == '1',
            help='show where a mistake was found',
        )
    return parser


_FORMAT = dict(formatter_class=argparse.RawDescriptionHelpFormatter)


def _command(commands: Any, name: str, what: str, more: str) -> Parser:
    return commands.add_parser(
        name, help=what, description=f'{what}.\n\n{more}', **_FORMAT
    )


def _demo(commands: Any) -> Parser:
    parser = _command(
        commands,
        'demo',
        'Run the whole chain on built-in toy scenes, and write a report',
        'Pretrains a small ViT, fine-tunes Mask R-CNN and UperNet from it and from\n'
        'scratch, and compares. Two minutes on two CPU cores, without a network.\n'
        '\nexample:\n  ccmim demo',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/demo'), help='where all goes'
    )
    parser.add_argument('--images', type=Path, help='pretrain on these photos instead')
    parser.add_argument(
        '--full', action='store_true', help='the quickstart at full length: ten minutes'
    )
    return parser


def _pretrain(commands: Any) -> Parser:
    parser = _command(
        commands,
        'pretrain',
        'Pretrain a Vision Transformer on images without labels',
        'DATA is a folder (searched with all its subfolders), a list of paths (.txt),\n'
        'tar shards (.tar), a pattern of these in quotes, or several of them. What is\n'
        'not given is chosen for the photos and the machine, and printed:\n\n'
        '  no GPU               ViT-Ti/16, 128 px, batch 64, about 60,000 images seen\n'
        '  GPU below 12 GB      ViT-S/16, 224 px, batch 64, about 10 million seen\n'
        '  GPU of 12 to 40 GB   ViT-B/16, 224 px, batch 128\n'
        '  GPU above 40 GB      ViT-B/16, 224 px, batch 256\n'
        '  photos below 64 px   ViT-Ti/4, 32 px\n\n'
        'A run that was interrupted resumes when the same command is given again.\n\n'
        'examples:\n  ccmim pretrain photos\n'
        '  ccmim pretrain photos more/*.tar --method mae --epochs 20 --out runs/mae\n'
        '  ccmim pretrain photos --init timm:vit_small_patch14_dinov2.lvd142m\n'
        '  ccmim pretrain photos --method maskdistill --teacher WEIGHTS\n'
        '  ccmim pretrain photos --dry-run',
    )
    parser.add_argument('data', nargs='+', metavar='DATA', help='images, see above')
    parser.add_argument(
        '--method', choices=list_methods(), default='ccmim', metavar='NAME',
        help=f'one of {", ".join(list_methods())} (default: ccmim)',
    )  # fmt: skip
    parser.add_argument('--size', choices=SIZES, help='of the Vision Transformer')
    parser.add_argument(
        '--init', metavar='WEIGHTS',
        help='begin from these: file, folder, timm:NAME or hf:OWNER/NAME',
    )  # fmt: skip
    parser.add_argument(
        '--teacher', metavar='WEIGHTS', help='of --method maskdistill, likewise'
    )
    parser.add_argument('--image-size', type=_positive, metavar='PX', help='side')
    parser.add_argument('--epochs', type=_positive, metavar='N')
    parser.add_argument('--batch-size', type=_positive, metavar='N')
    parser.add_argument('--workers', type=_positive, metavar='N', help='of the loader')
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
    parser = _command(
        commands,
        'transfer',
        'Measure what pretrained weights are worth on labelled data: one table',
        'What a folder of --data is, is found out:\n\n'
        '  train/CLASS/*.jpg, val/CLASS/*.jpg   k-NN and linear probe\n'
        '  annotations/*.json + images (COCO)   Mask R-CNN: box AP, mask AP\n'
        '  images/ + annotations/*.png (ADE20K) UperNet: mIoU\n\n'
        'Without a split every fifth image is kept for testing. Each is done from the\n'
        'checkpoint and from random weights; what is done is not done again.\n\n'
        'examples:\n'
        '  ccmim transfer work_dirs/photos_ccmim/epoch_60.pth --data mydata\n'
        '  ccmim transfer CHECKPOINT --data cifar10 coco ade --fast\n'
        '  ccmim transfer timm:vit_small_patch14_dinov2.lvd142m --data mydata',
    )
    parser.add_argument(
        'checkpoint',
        metavar='CHECKPOINT',
        help='file, folder, timm:NAME, hf:OWNER/NAME',
    )
    _add_told(parser)
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
    parser.add_argument('--steps', type=_positive, metavar='N', help='of fine-tuning')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='S')
    parser.add_argument(
        '--jobs',
        type=_positive,
        metavar='N',
        help='runs at a time (default: the GPUs, else 2)',
    )
    parser.add_argument(
        '--ignore-zero',
        action='store_true',
        help='0 in masks is no class, as in ADE20K',
    )
    return parser


def _export(commands: Any) -> Parser:
    parser = _command(
        commands,
        'export',
        'Write pretrained weights for another library',
        'Every tensor is accounted for and read back; the ONNX graph is compared with\n'
        'PyTorch where onnxruntime is installed. CHECKPOINT may be of any project.\n'
        '\nexamples:\n  ccmim export work_dirs/photos_ccmim/epoch_60.pth --to timm\n'
        '  ccmim export epoch_60.pth --to onnx --size 224 224 --out vit.onnx',
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT')
    parser.add_argument('--to', choices=LAYOUTS, required=True, metavar='LAYOUT',
        help=f'one of {", ".join(LAYOUTS)}')  # fmt: skip
    parser.add_argument(
        '--out', type=Path, help='file; a folder for hf (default: beside it)'
    )
    parser.add_argument(
        '--size', type=int, nargs=2, metavar=('H', 'W'), help='of the images, for onnx'
    )
    _add_told(parser)
    parser.add_argument(
        '--overwrite', action='store_true', help='replace what is there'
    )
    return parser


def _check(commands: Any) -> Parser:
    parser = _command(
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
    parser.add_argument('--workers', type=_positive, metavar='N', help='processes')
    return parser


def _doctor(commands: Any) -> Parser:
    return _command(
        commands,
        'doctor',
        'Say what is installed, try it, and say how to mend what is wrong',
        'example:\n  ccmim doctor',
    )


def _report(commands: Any) -> Parser:
    parser = _command(
        commands,
        'report',
        'Write one HTML page about one or several runs',
        'Curves, pictures, tables, differences of configs; opens from the disk.\n'
        '\nexample:\n  ccmim report work_dirs/photos_ccmim work_dirs/photos_mae',
    )
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    parser.add_argument('--out', type=Path, metavar='FILE', help='page to write')
    return parser


def _add_told(parser: Parser) -> None:
    parser.add_argument(
        '--num-heads', type=_positive, metavar='H', help='if the weights do not say'
    )
    parser.add_argument(
        '--img-size', type=_positive, nargs='+', metavar='PX', action=_Size,
        help='side, or height and width, that the weights are for, if they do not say',
    )  # fmt: skip
    parser.add_argument(
        '--part', default='', help="which of several networks; 'ema': averaged weights"
    )


class _Size(argparse.Action):
    def __call__(
        self, parser: Any, namespace: Any, values: Any, name: Any = ''
    ) -> None:
        if len(values) > 2:
            raise Mistake('--img-size takes a side, or height and width', str(values))
        setattr(namespace, self.dest, values[0] if len(values) == 1 else values)


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f'{text!r} must be a whole number of at least 1'
        )
    return number
