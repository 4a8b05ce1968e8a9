"""Run small experiments on each part of the family, and write their tables.

    CCMIM_DATA=data python tools/family.py SHOW [--seeds 0 1 2] [--arms NAME ...]
        [--out docs/study/family] [--work-dir work_dirs/family] [--table-only]
        [--page docs/results.md]

SHOW is one of those in tools/studies/{family,adapting,saliency}.py; --list names them.
What is in OUT/SHOW.csv is not run again; OUT/SHOW.md is written from it, and tables of
PAGE below a comment `<!-- SHOW.csv -->` are filled.
"""

import argparse
import shutil
import sys
from pathlib import Path

from mmengine.logging import MMLogger

from ccmim.apps.compare.scores import read_csv, write_csv
from ccmim.apps.compare.tables import markdown
from ccmim.files import Parser, write_file
from studies import adapting, family, saliency
from studies.filling import filled
from studies.small import ROOT, scores

SHOWS = {**family.SHOWS, **adapting.SHOWS, **saliency.SHOWS}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('show', nargs='?', choices=sorted(SHOWS), help='what is run')
    parser.add_argument('--list', action='store_true', help='name all with their arms')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--arms', nargs='+', help='all when left out')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/study/family')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/family'))
    parser.add_argument('--table-only', action='store_true', help='run nothing')
    parser.add_argument('--page', type=Path, help='Markdown whose tables are filled')
    args = parser.parse_args()
    if not args.list and not args.show:
        parser.error('give a SHOW, or --list')
    if args.page and not args.page.is_file():
        parser.error(f'--page {args.page} is no file')
    if args.show and (odd := set(args.arms or ()) - set(SHOWS[args.show].arms)):
        parser.error(
            f'--arms {odd.pop()}: {args.show} has {", ".join(SHOWS[args.show].arms)}'
        )
    return args


def main() -> None:
    """Run what is missing and write the table."""
    args = parse_args()
    if args.list:
        for name, show in SHOWS.items():
            print(f'{name}: {", ".join(show.arms)}')
        return
    show, file = SHOWS[args.show], args.out / f'{args.show}.csv'
    args.out.mkdir(parents=True, exist_ok=True)
    recorded = read_csv(file) if file.exists() else []
    done = {(score.arm, score.seed) for score in recorded}
    MMLogger.get_instance('mmengine', log_level='WARNING')
    for seed in args.seeds if not args.table_only else ():
        for arm in args.arms or show.arms:
            if (arm, seed) in done:
                continue
            out = args.work_dir / args.show / f'{arm}_{seed}'
            values = show.run(arm, seed, out)
            shutil.rmtree(out, ignore_errors=True)
            text = '  '.join(f'{name} {value:.4g}' for name, value in values.items())
            print(f'{args.show}, {arm}, seed {seed}: {text}', flush=True)
            recorded += scores(arm, args.show, seed, values)
            write_csv(recorded, file)
    if not recorded:
        sys.exit(f'error: nothing is in {file}: leave --table-only out')
    ran = [arm for arm in show.arms if any(score.arm == arm for score in recorded)]
    text = markdown(recorded, ran).replace(f'{args.show}: ', '')
    write_file(args.out / f'{args.show}.md', text)
    print(text)
    if args.page:
        try:
            write_file(args.page, filled(args.page.read_text(), args.out))
        except (OSError, ValueError) as error:
            sys.exit(f'error: {args.page}: {error}')


if __name__ == '__main__':
    main()
