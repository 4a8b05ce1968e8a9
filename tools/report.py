"""Write one self-contained HTML page about one or more runs.

    python tools/report.py work_dirs/ccmim_vitb
    python tools/report.py work_dirs/mae work_dirs/ccmim --out mae_and_ccmim.html

WORK_DIR is that of a run of any OpenMMLab project, or a folder of several runs, such as
that of tools/compare.py. The page holds curves to zoom into, pictures, last and best
values, settings that differ, the machine and the times. Runs that were interrupted and
resumed are one.
"""

import argparse
import sys
from pathlib import Path

from ccmim.apps.report.page_comparison import write_runs_page
from ccmim.files import Parser, say


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dirs', nargs='+', type=Path, metavar='WORK_DIR')
    parser.add_argument(
        '--out',
        type=Path,
        help='page to write; by default report.html in WORK_DIR, or here for several',
    )
    parser.add_argument('--title', help='heading of the page')
    return parser.parse_args()


def main() -> None:
    """Write the page."""
    args = parse_args()
    try:
        say(write_runs_page(args.work_dirs, args.out, args.title))
    except (ValueError, OSError) as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()
