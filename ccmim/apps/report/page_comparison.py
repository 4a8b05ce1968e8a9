"""What a comparison of several arms has found, as the top of a report."""

from pathlib import Path

from ccmim.apps.compare.scores import columns, estimate, read_csv
from ccmim.apps.report.page import Summary


def read_comparison(folder: Path) -> Summary:
    """Read the scores that ``tools/compare.py`` leaves in its folder.

    Args:
        folder: Any folder.

    Returns:
        The table of means and the chart; nothing if the folder is no comparison.
    """
    file, chart = folder / 'scores.csv', folder / 'scores.png'
    scores = read_csv(file) if file.is_file() else []
    if not scores:
        return Summary()
    heads = columns(scores)
    table = [['', *(f'{task}: {metric}' for task, metric in heads)]]
    for arm in dict.fromkeys(score.arm for score in scores):
        row = [arm]
        for head in heads:
            values = [
                s.value for s in scores if (s.arm, s.task, s.metric) == (arm, *head)
            ]
            row.append(_mean(values) if values else 'not run')
        table.append(row)
    figures = [(chart, 'A dot for each run, a line at the mean.')]
    note = 'Mean and standard deviation over seeds (number of runs), in per cent.'
    return Summary(table, [note], figures if chart.is_file() else [])


def _mean(values: list[float]) -> str:
    found = estimate(values)
    spread = f' \N{PLUS-MINUS SIGN} {found.spread:.1f}' if found.count > 1 else ''
    return f'{found.mean:.1f}{spread} ({found.count})'
