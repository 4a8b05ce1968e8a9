"""``ccmim report``: one page about one or several runs."""

from argparse import Namespace
from pathlib import Path

from ccmim.report.page import write_page
from ccmim.report.page_comparison import read_comparison
from ccmim.report.run_folder import find_runs


def run(args: Namespace) -> int:
    """Write the page, by default into the folder of a single run."""
    first, *others = args.work_dirs
    out = args.out or (Path() if others else first) / 'report.html'
    runs = find_runs(args.work_dirs)
    title = ', '.join(folder.resolve().name for folder in args.work_dirs)
    write_page(out, title, runs, read_comparison(first))
    size = out.stat().st_size / 1e6
    print(f'{len(runs)} run{"s" * (len(runs) > 1)}, {size:.1f} MB: {out}')
    return 0
