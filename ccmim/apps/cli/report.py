"""``ccmim report``: one page about one or several runs."""

from argparse import Namespace

from ccmim.apps.report.page_comparison import write_runs_page


def run(args: Namespace) -> int:
    """Write the page, by default into the folder of a single run."""
    print(write_runs_page(args.work_dirs, args.out))
    return 0
