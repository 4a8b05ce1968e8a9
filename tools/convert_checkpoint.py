#!/usr/bin/env python3
"""Convert the weights of a ViT from any project for another one.

python tools/convert_checkpoint.py mae_pretrain_vit_base.pth mae.safetensors
python tools/convert_checkpoint.py work_dirs/ccmim_vitb/epoch_800.pth OUT --to hf
python tools/convert_checkpoint.py RUN/epoch_300.pth OUT.pth --part teacher.backbone
"""

import argparse

from ccmim.checkpoints import (
    READABLE,
    WRITABLE,
    read_weights,
    write_weights,
)
from ccmim.files import Parser, say


def main() -> None:
    """Parse the command line, convert and report every key."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'file', metavar='FILE', help='or a folder, timm:NAME, hf:OWNER/NAME'
    )
    parser.add_argument('out', metavar='OUT', help='file; a folder for --to hf')
    parser.add_argument(
        '--from', dest='layout', choices=READABLE, default='auto', help='its layout'
    )
    parser.add_argument('--to', choices=WRITABLE, default='ccmim')
    parser.add_argument(
        '--num-heads', type=int, metavar='H', help='if the file does not say'
    )
    parser.add_argument(
        '--img-size', type=int, nargs='+', metavar='S', help='side, or height and width'
    )
    parser.add_argument(
        '--part', default='', help='such as teacher.backbone; ema: the averaged weights'
    )
    parser.add_argument('--act', help='activation of its MLPs, if it does not say')
    parser.add_argument('--overwrite', action='store_true', help='replace OUT')
    args = parser.parse_args()
    size = args.img_size
    if size and len(size) > 2:
        parser.error('--img-size takes a side, or height and width')
    try:
        weights = read_weights(
            args.file,
            args.layout,
            args.num_heads,
            size[0] if size and len(size) == 1 else size,
            args.part,
            args.act,
        )
        written = write_weights(weights, args.out, args.to, args.overwrite)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    say(*weights.report, *written)


if __name__ == '__main__':
    main()
