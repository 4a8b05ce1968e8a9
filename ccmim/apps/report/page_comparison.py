"""Results of a comparison, at the top of a report."""

from collections.abc import Sequence
from pathlib import Path

from ccmim.apps.compare.scores import DASH, columns, mean_text, read_csv
from ccmim.apps.report.page import Summary, write_page
from ccmim.apps.runs.folder import find_runs


def read_comparison(folder: Path) -> Summary:
    """Read the scores that ``tools/compare.py`` leaves in its folder.

    Args:
        folder: Any folder.

    Returns:
        The table of means, with the leads over the first arm where there are several
        seeds, and the chart; nothing if the folder is no comparison.
    """
    file, chart = folder / 'scores.csv', folder / 'scores.png'
    scores = read_csv(file) if file.is_file() else []
    if not scores:
        return Summary()
    heads, several = columns(scores), len({score.seed for score in scores}) > 1
    table = [['', *(f'{task}: {metric}' for task, metric in heads)]]
    arms = list(dict.fromkeys(score.arm for score in scores))
    for arm in arms:
        row = [arm]
        for head in heads:
            values = [
                s.value for s in scores if (s.arm, s.task, s.metric) == (arm, *head)
            ]
            row.append(mean_text(values, several))
        table.append(row)
    figures = [(chart, 'A dot for each run, a line at the mean.')]
    note = 'In per cent, one run each.'
    if several:
        from ccmim.apps.compare.gains import find_gains  # with torch: seconds

        note = 'Mean and standard deviation over seeds (number of runs), in per cent.'
        note += ' In brackets: 95 % interval of the difference, seed by seed.'
        for arm in arms[1:]:
            leads = {gain.head: gain.text for gain in find_gains(scores, arm, arms[0])}
            cells = [leads.get(head, DASH) for head in heads]
            table.append([f'{arm} - {arms[0]}', *cells])
    return Summary(table, [note], figures if chart.is_file() else [])


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
