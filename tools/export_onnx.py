#!/usr/bin/env python3
"""Export the features of a ViT to ONNX: the class token and the last map.

python tools/export_onnx.py CHECKPOINT vit.onnx --size 512 512 --check
"""

import argparse
import sys
from pathlib import Path

from ccmim.apps.cli.quiet import no_messages
from ccmim.checkpoints import READABLE, read_weights
from ccmim.export import MissingLibrary, compare_with_onnx, export_onnx
from ccmim.export.onnx import Features
from ccmim.files import Parser, say
from ccmim.progress import waiting

TOLERANCE, HALF_TOLERANCE = 1e-4, 5e-2  # of features, whose entries are about 1


def main() -> int:
    """Parse the command line and export; 1 when the check fails."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='of any known layout')
    parser.add_argument('out', metavar='OUT.onnx', type=Path)
    parser.add_argument('--from', dest='layout', choices=READABLE, default='auto')
    parser.add_argument('--num-heads', type=int, metavar='H', help='if not in the file')
    parser.add_argument(
        '--img-size',
        type=int,
        nargs='+',
        metavar='PX',
        help='side, or height and width, of its training, if the file does not say',
    )
    parser.add_argument('--part', default='', help="of several networks; or 'ema'")
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help='of the images in pixels (default: any, where the positions allow it)',
    )
    parser.add_argument(
        '--normalized',
        action='store_true',
        help='take normalized images; else RGB in 0..255, normalized in the graph',
    )
    parser.add_argument(
        '--fp16', action='store_true', help='compute in float16: half the size'
    )
    parser.add_argument(
        '--whole',
        action='store_true',
        help='all of a trained classifier (probabilities), detector (boxes, scores, '
        'labels, masks) or segmentor (classes)',
    )
    parser.add_argument('--check', action='store_true', help='compare with onnxruntime')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT.onnx')
    args = parser.parse_args()
    try:
        if args.out.suffix != '.onnx':
            raise ValueError(f'{args.out} must end in .onnx')
        if args.out.exists() and not args.overwrite:
            raise ValueError(f'{args.out} is there already: give --overwrite')
        if args.whole:
            return _whole(args)
        size = args.img_size[0] if len(args.img_size or []) == 1 else args.img_size
        weights = read_weights(
            args.checkpoint, args.layout, args.num_heads, size, args.part
        )
        features = Features(weights, args.size, not args.normalized, args.fp16)
        say(*weights.report)
        size = export_onnx(features, args.out)
        sides = ', '.join(map(str, features.size))
        sides = 'height, width' if features.is_dynamic else sides
        kind = 'normalized' if args.normalized else 'RGB in 0..255'
        say(
            f'Wrote {args.out}: {size / 1e6:.1f} MB, images (batch, 3, {sides}) '
            f'-> class_token, feature_map; {kind}'
        )
        if not args.check:
            return 0
        difference = compare_with_onnx(features, args.out)
    except (ValueError, OSError, MissingLibrary) as error:
        parser.error(str(error))
    limit = HALF_TOLERANCE if args.fp16 else TOLERANCE
    good = difference <= limit
    say(
        f'Largest difference from PyTorch in onnxruntime: {difference:.1e} '
        f'({"at most" if good else "ABOVE"} {limit:.0e})'
    )
    return int(not good)


def _whole(args: argparse.Namespace) -> int:
    """Export all of a trained network; 1 when the check fails."""
    from ccmim.export.whole import Whole, compare_whole, export_whole

    with no_messages():  # of mmdet and mmseg
        whole = Whole(args.checkpoint, args.size)
    with waiting('Writing the graph'):
        size = export_whole(whole, args.out)
    height, width = whole.size
    batch = 'batch' if whole.detector is None else '1'
    say(
        f'Wrote {args.out}: {size / 1e6:.1f} MB, images ({batch}, 3, {height}, {width})'
        f' -> {", ".join(whole.outputs)}; {len(whole.classes)} classes, RGB in 0..255'
    )
    if not args.check:
        return 0
    with waiting('Comparing with PyTorch'), no_messages():
        difference, count = compare_whole(whole, args.out)
    good = difference <= HALF_TOLERANCE / 10
    what = 'images' if whole.detector is None else 'objects'
    say(
        f'Largest difference from PyTorch in onnxruntime: {difference:.1e} '
        f'({count} {what})'
    )
    return int(not good)


if __name__ == '__main__':
    sys.exit(main())
