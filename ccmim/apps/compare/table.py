"""The scores of an experiment as files that people and programs read."""

from collections.abc import Sequence
from pathlib import Path

from ccmim.apps.compare.plots import plot_scores
from ccmim.apps.compare.scores import Score, markdown, write_csv
from ccmim.checkpoints.atomic import write_file


def write_table(scores: Sequence[Score], arms: Sequence[str], out: Path) -> str:
    """Write what the finished runs have scored: a table, all scores, a picture.

    Args:
        scores: All scores.
        arms: The rows; differences are to the first.
        out: Folder for table.md, scores.csv and scores.png.

    Returns:
        The table, and where it stands; empty if there is no score.
    """
    if not scores:
        return ''
    text = markdown(scores, arms)
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / 'table.md', text)
    write_csv(scores, out / 'scores.csv')
    plot_scores(scores, arms, out / 'scores.png')
    return f'{text}\nwritten to {out}: table.md, scores.csv, scores.png'
