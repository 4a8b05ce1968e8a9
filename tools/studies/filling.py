"""Tables of a page, filled from what is recorded.

A comment ``<!-- NAME.csv -->`` stands above each of them. Rows name their arm in
backticks; titles of columns say the measure, or ``to ARM`` for the difference of the
measure before to another arm.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ccmim.apps.compare.gains import Gain
from ccmim.apps.compare.scores import Score, difference, estimate, read_csv, table

# What words of titles are called in the files.
_NAMES = {
    'CamVid: ': 'camvid ',
    'Penn-Fudan: ': 'penn_fudan ',
    'COCO-mini: ': 'coco_mini ',
    'CIFAR-10: k-NN': 'cifar10 knn',
    'retrieval': 'mIoU',
    'k-means': 'clusters',
    '300 clusters': 'overclusters',
    'CorLoc': 'discovery',
    'cosine of class tokens': 'cosine',
    'the start': 'start',
    'random weights': 'random',
    ', %': '',
}
_TABLE = re.compile(r'(?<=<!-- )(\w+)\.csv -->\n((?:\|.*\n)+)')


def filled(page: str, folder: Path) -> str:
    """Fill the tables of a page.

    Args:
        page: Its Markdown.
        folder: Where the CSV files are, as ``write_csv`` writes them.

    Returns:
        The page with the figures of the files; columns that are not in them stay.

    Raises:
        ValueError: If a row's arm is not in its file.
    """

    def fill(found: re.Match[str]) -> str:
        name, rows = found[1], found[2].splitlines()
        scores = read_csv(folder / f'{name}.csv')
        head, _, *rows = [row.strip('|').split('|') for row in rows]
        titles = [title.strip() for title in head]
        cells = [[cell.strip() for cell in row] for row in rows]
        text = table(titles, [_row(scores, titles, row) for row in cells])
        return f'{name}.csv -->\n{text}'

    return _TABLE.sub(fill, page)


def _row(
    scores: Sequence[Score], titles: Sequence[str], cells: Sequence[str]
) -> list[str]:
    arm, row = re.findall('`(.+?)`', cells[0])[-1], [cells[0]]
    of_arm = [score for score in scores if score.arm == arm]
    if not of_arm:
        raise ValueError(f'{arm} is not recorded: {sorted({s.arm for s in scores})}')
    found: list[Score] = []
    for title, cell in zip(titles[1:], cells[1:], strict=True):
        for words, name in _NAMES.items():
            title = title.replace(words, name)
        if title.startswith('to ') and found:
            row.append(_lead(scores, arm, title.removeprefix('to '), found[0]))
            continue
        found = [s for s in of_arm if title in (s.metric, f'{s.task} {s.metric}')]
        row.append(_mean([s.value for s in found]) if found else cell)
    return row


def _mean(values: Sequence[float]) -> str:
    mean, spread, _, _ = estimate(values)
    return f'{mean:.1f} ± {spread:.1f}' if spread > 1e-6 else f'{mean:.1f}'


def _lead(scores: Sequence[Score], arm: str, reference: str, of: Score) -> str:
    lead = difference(scores, arm, reference, of.task, of.metric)
    if lead is None or arm == reference:
        return ''
    low, high = lead.mean - lead.half_width, lead.mean + lead.half_width
    return Gain(of.metric, lead.mean, low, high).text
