"""Scores of a comparison: means, spreads and paired differences."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ccmim.files import write_file

DASH = '\N{EN DASH}'  # where there is no figure
# What tools/test.py and the k-NN tools call a metric -> its name in a table and its
# factor to per cent.
METRICS = {
    'coco/bbox_mAP': ('box AP', 100),
    'coco/segm_mAP': ('mask AP', 100),
    'mIoU': ('mIoU', 1),
    'coco_panoptic/PQ': ('PQ', 1),
    'accuracy/top1': ('top-1', 1),
    'k=20': ('k-NN', 1),
    'linear': ('linear', 1),
    'patch_mIoU': ('patch k-NN mIoU', 1),
}


def in_percent(key: str, value: float) -> float:
    """Convert a metric to per cent.

    Args:
        key: As of ``METRICS``.
        value: As the metric gives it; COCO's AP is -1 without an object.
    """
    return float('nan') if value < 0 else METRICS[key][1] * value


class Score(NamedTuple):
    """One figure of one run.

    Attributes:
        arm: How the run began.
        task: On what it was tested.
        seed: Its seed.
        metric: What was measured.
        value: In per cent.
    """

    arm: str
    task: str
    seed: int
    metric: str
    value: float


class Estimate(NamedTuple):
    """The mean of some runs.

    Attributes:
        mean: Their mean.
        spread: Standard deviation between them; nan for one run.
        half_width: Of the 95 % confidence interval of the mean, by Student's t, which
            takes the runs for normal; nan for one run.
        count: Number of runs.
    """

    mean: float
    spread: float
    half_width: float
    count: int


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate the mean of runs from at least one value."""
    count, mean = len(values), float(np.mean(values))
    if count < 2:
        return Estimate(mean, float('nan'), float('nan'), count)
    from scipy import stats  # takes half a second

    spread = float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.975, count - 1)) * spread / count**0.5
    return Estimate(mean, spread, half, count)


def difference(
    scores: Sequence[Score], arm: str, reference: str, task: str, metric: str
) -> Estimate | None:
    """Estimate how far an arm is ahead of the reference, seed by seed.

    Args:
        scores: All scores.
        arm: Whose lead.
        reference: Over whom.
        task: On what.
        metric: By what measure.

    Returns:
        The estimate over the seeds that both have; None if there is no such seed.
    """
    ours, theirs = (
        {s.seed: s.value for s in scores if s[:2] == (a, task) and s.metric == metric}
        for a in (arm, reference)
    )
    common = sorted(ours.keys() & theirs.keys())
    return estimate([ours[i] - theirs[i] for i in common]) if common else None


def columns(scores: Sequence[Score]) -> list[tuple[str, str]]:
    """List the pairs of task and metric, in the order in which they come."""
    return list(dict.fromkeys((s.task, s.metric) for s in scores))


def write_csv(scores: Sequence[Score], file: Path) -> None:
    """Write every score, one a line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, Score._fields, lineterminator='\n')
    writer.writeheader()
    writer.writerows(s._asdict() | {'value': f'{s.value:.8g}'} for s in scores)
    write_file(file, text.getvalue())


def read_csv(file: Path) -> list[Score]:
    """Read what ``write_csv`` wrote."""
    with file.open(newline='') as lines:
        return [
            Score(r['arm'], r['task'], int(r['seed']), r['metric'], float(r['value']))
            for r in csv.DictReader(lines)
        ]


def mean_text(values: Sequence[float], with_count: bool = False) -> str:
    """Write a mean, with spread and number of runs where there are several.

    Args:
        values: Of the runs.
        with_count: Whether one run is counted too, where others stand beside it.
    """
    if not values:
        return 'not run'
    mean, spread, _, count = estimate(values)
    if mean != mean:
        return DASH
    if count == 1:
        return f'{mean:.1f}{" (1)" * with_count}'
    return f'{mean:.1f} \N{PLUS-MINUS SIGN} {spread:.1f} ({count})'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown: a row of titles, and rows of as many cells."""
    lines = [head, ['---'] * len(head), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)
