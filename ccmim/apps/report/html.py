"""One HTML file with results: table, pictures, runs, commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ccmim.apps.report.page import Summary, write_page
from ccmim.apps.runs.folder import find_runs


class Figure(NamedTuple):
    """A picture and what it shows.

    Attributes:
        file: A PNG or JPEG file.
        caption: What is to be seen.
    """

    file: Path
    caption: str


def write_report(
    file: Path,
    title: str,
    table: Sequence[Sequence[str]] = (),
    notes: Sequence[str] = (),
    figures: Sequence[Figure] = (),
    commands: Sequence[str] = (),
    runs: Sequence[Path] = (),
) -> None:
    """Write a report with its pictures inside; it opens from the disk.

    Args:
        file: Where it goes.
        title: Heading of the page.
        table: Rows of cells, the header first.
        notes: Paragraphs below the table.
        figures: Pictures with captions; without any, some pictures of the runs.
        commands: Shell commands that gave the results.
        runs: Work dirs whose curves, values and settings are shown as well.

    Raises:
        ValueError: If a folder holds no run.
    """
    summary = Summary(table, notes, figures, commands)
    write_page(file, title, find_runs(runs), summary)
