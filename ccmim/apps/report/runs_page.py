"""The page about runs that the commands write."""

from collections.abc import Sequence
from pathlib import Path

from ccmim.apps.report.page import write_page
from ccmim.apps.report.page_comparison import read_comparison
from ccmim.apps.runs.folder import find_runs


def write_runs_page(
    folders: Sequence[Path], file: Path | None = None, title: str | None = None
) -> str:
    """Write a page about the runs in some folders, with the table of a comparison.

    Args:
        folders: Work dirs, or folders of several; the first may be of a comparison.
        file: Where it goes; report.html in a single folder, or here for several.
        title: Heading; the folders' names if None.

    Returns:
        A line that says how many runs it is about, how big it is and where.

    Raises:
        ValueError: If a folder holds no run.
        OSError: If the page cannot be written.
    """
    first, *others = folders
    file = file or (Path() if others else first) / 'report.html'
    title = title or ', '.join(folder.resolve().name for folder in folders)
    runs = find_runs(folders)
    write_page(file, title, runs, read_comparison(first))
    size = file.stat().st_size / 1e6
    return f'{len(runs)} run{"s" * (len(runs) > 1)}, {size:.1f} MB: {file}'
