"""``ccmim report``: one page about one or several runs."""

from argparse import Namespace

from ccmim.apps.report.page_comparison import write_runs_page
from ccmim.files import say


def run(args: Namespace) -> int:
    """Write the page, by default into the folder of a single run."""
    say(write_runs_page(args.work_dirs, args.out))
    return 0
