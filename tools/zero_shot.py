"""Zero-shot classification and image-text retrieval with a run of FLIP.

    python tools/zero_shot.py CHECKPOINT --data FOLDER [--templates 'a photo of a {}.']
    python tools/zero_shot.py CHECKPOINT --data FOLDER --captions FILE [--part test]
        [--out FILE.json]

FOLDER has a folder for each class; or holds the photos that FILE (COCO's captions, or a
table with the columns image and caption) says something of. Written are top-1, or how
often what belongs together is among the 1, 5 and 10 nearest, in percent.
"""

import argparse
import sys

import mmengine

from ccmim.api.zero_shot import load_flip, retrieve, zero_shot
from ccmim.checkpoints.atomic import write_atomically
from ccmim.files import Parser, say
from ccmim.text.captions import TEMPLATES


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='of a run of FLIP')
    parser.add_argument('--data', required=True, help='folder of the photos')
    parser.add_argument('--captions', help='what is said of them')
    parser.add_argument(
        '--templates',
        nargs='+',
        help='sentences with {} for the class; eight by default',
    )
    parser.add_argument(
        '--part', choices=('all', 'train', 'test'), help="every tenth photo is 'test'"
    )
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--out', help='FILE.json for the figures')
    args = parser.parse_args()
    if args.captions and args.templates:
        parser.error('--templates are for classes: leave out --captions')
    if args.part and not args.captions:
        parser.error('--part is of --captions')
    return args


def main() -> None:
    """Measure and print."""
    args = parse_args()
    try:
        model = load_flip(args.checkpoint)
        if args.captions:
            scores = retrieve(
                model,
                args.data,
                args.captions,
                args.batch_size,
                part=args.part or 'all',
            )
        else:
            scores = zero_shot(
                model, args.data, args.templates or TEMPLATES, args.batch_size
            )
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    print('  '.join(f'{name} {value:.1f}' for name, value in scores.items()))
    if args.out:
        write_atomically()
        mmengine.dump(scores, args.out)


if __name__ == '__main__':
    main()
