"""``ccmim demo``: pretrain and evaluate on synthetic scenes."""

from argparse import Namespace
from importlib.util import find_spec

from ccmim.apps.cli.mistakes import Mistake, how_to_install
from ccmim.apps.cli.tools import run_tool
from ccmim.files import say


def run(args: Namespace) -> int:
    """Run the quickstart, in its fast form by default."""
    for module in ('mmcv', 'mmdet', 'mmseg'):
        if find_spec(module) is None:
            raise Mistake(
                f'the demo trains detectors and segmentors, and {module} is missing',
                how_to_install(module),
            )
    if args.images and not args.images.exists():
        raise Mistake(f'there are no photos {args.images}', 'give a folder to --images')
    words: list[object] = ['--out', args.out.absolute()]
    words += [] if args.full else ['--fast']
    words += ['--images', args.images.absolute()] if args.images else []
    code = run_tool('quickstart', words, args.debug)
    if not code:
        page = args.out.absolute() / 'report.html'
        say(
            '',
            f'Open {page} in a browser (xdg-open {page}).',
            'Next: ccmim pretrain FOLDER_OF_PHOTOS',
        )
    return code
