r"""Run the study of docs/study.md, or continue with it, and write its tables and plots.

    CCMIM_DATA=data python tools/study.py --budget cpu --jobs 2
    CCMIM_DATA=data python tools/study.py --budget full --jobs 4 --minutes 9 \
        --arms random mae ccmim ccmim_gumbel_t01 --seeds 0 --equal-compute

What is done is not done again; what was interrupted, or ran out of minutes, continues
with the same command. Adds to scores.csv and curves.csv in RESULTS/BUDGET, draws them,
and fills in the tables of RESULTS.md if there is such a page.
"""

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from mmengine.logging import MMLogger

from ccmim.apps.compare import StageError, read_csv, run_stages
from ccmim.files import Parser, say
from studies.budgets import BUDGETS
from studies.page import fill, tables
from studies.results import draw, record, recorded
from studies.study import known_arms, study

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--budget', choices=BUDGETS, required=True, help='how much of it is done'
    )
    parser.add_argument(
        '--arms', nargs='+', metavar='NAME', help='some of the arms (default: all)'
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument(
        '--equal-compute',
        action='store_true',
        help='run dearer arms with fewer epochs too, so that all cost as much as MAE',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/study'), help='folder of the runs'
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=ROOT / 'docs/study',
        help='folder of the files that are kept',
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument('--gpus', nargs='+', help='GPUs to use, one for each run')
    parser.add_argument(
        '--minutes', type=float, default=0.0, help='stop, and save, after so many'
    )
    parser.add_argument(
        '--skip-recorded',
        action='store_true',
        help='leave out what scores.csv has already, from elsewhere',
    )
    parser.add_argument(
        '--table-only', action='store_true', help='run nothing, write what is there'
    )
    args = parser.parse_args()
    if args.jobs < 1 or args.minutes < 0:
        parser.error('--jobs must be at least 1, and --minutes not negative')
    return args


def main() -> None:
    """Run what is missing and write what there is."""
    args = parse_args()
    # That a config is read is no news: dozens are, to count what they cost.
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    budget = BUDGETS[args.budget]
    folder = args.results / args.budget
    try:
        comparison = study(
            ROOT,
            budget,
            args.arms or known_arms(ROOT, budget),
            args.seeds,
            args.out.resolve() / args.budget,
            args.equal_compute,
        )
    except ValueError as error:
        say(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    failure = ''
    if not args.table_only:
        known = folder / 'scores.csv'
        scores = read_csv(known) if args.skip_recorded and known.exists() else []
        chains = comparison.chains(recorded(scores, list(budget.tasks)))
        slots = [{'CUDA_VISIBLE_DEVICES': gpu} for gpu in args.gpus or ()]
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, 60 * args.minutes)
        try:
            run_stages(chains, ROOT, slots or [{}] * args.jobs)
        except StageError as error:
            failure = str(error)
        except KeyboardInterrupt:
            failure = '\nInterrupted. The same command resumes.'
        signal.setitimer(signal.ITIMER_REAL, 0)
    scores, points = record(comparison, folder)
    draw(scores, points, folder)
    text = tables(ROOT, budget, scores, points, folder)
    page = args.results.with_suffix('.md')
    if page.exists():
        try:
            fill(page, f'tables of {args.budget}', text)
        except ValueError as error:
            failure = f'{failure}\nerror: {error}'.strip()
    print(f'\n{text}')
    say(f'written to {folder}')
    sys.exit(failure or None)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == '__main__':
    main()
