"""The results of the study: files that grow, and their pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from ccmim.apps.compare.comparison import Comparison
from ccmim.apps.compare.curves import (
    Point,
    load_points,
    plot_points,
    read_points,
    write_points,
)
from ccmim.apps.compare.plots import plot_scores
from ccmim.apps.compare.scores import Score, read_csv, write_csv
from studies.mask_pictures import join_pictures
from studies.study import ARMS, EQUAL_COMPUTE

# By arm, so that machines which have run one of them leave the others' in place.
MASKS = {arm: f'masks_{arm}.jpg' for arm in ('ccmim', 'ccmim_gumbel_t01')}
_T = TypeVar('_T', Score, Point)


def record(comparison: Comparison, folder: Path) -> tuple[list[Score], list[Point]]:
    """Add what finished runs have given to scores.csv, curves.csv and MASKS.

    What stands there of other runs, made elsewhere, is kept: so that several calls and
    machines complete one study.

    Args:
        comparison: The runs.
        folder: Where the files are; made if it does not exist.

    Returns:
        All scores and points, those of earlier calls included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = comparison.scores()
    finished = {(score.arm, score.seed) for score in new}
    points = [
        point
        for arm in comparison.arms
        if arm.source
        for seed in comparison.seeds
        if (arm.name, seed) in finished
        for point in read_points(
            arm.name, seed, comparison.pretraining_folder(arm, seed)
        )
    ]
    files = folder / 'scores.csv', folder / 'curves.csv'
    scores = _merged(read_csv(files[0]) if files[0].exists() else [], new)
    points = _merged(load_points(files[1]) if files[1].exists() else [], points)
    write_csv(scores, files[0])
    write_points(points, files[1])
    seed = comparison.seeds[0]
    for arm in comparison.arms:
        if arm.name in MASKS and (arm.name, seed) in finished:
            run = comparison.pretraining_folder(arm, seed)
            join_pictures(run, folder / MASKS[arm.name])
    return scores, points


def _merged(old: Sequence[_T], new: Sequence[_T]) -> list[_T]:
    """Put new rows in the place of those of the same run, and bring all in order."""
    again = {row[:2] if isinstance(row, Point) else row[:4] for row in new}
    kept = [
        row
        for row in old
        if (row[:2] if isinstance(row, Point) else row[:4]) not in again
    ]
    return sorted([*kept, *new], key=lambda row: (_order(row.arm), *row[1:4]))


def _order(arm: str) -> tuple[bool, int]:
    plain = arm.removesuffix(EQUAL_COMPUTE)
    return arm != plain, ARMS.index(plain) if plain in ARMS else len(ARMS)


def recorded(scores: Sequence[Score], tasks: Sequence[str]) -> set[tuple[str, int]]:
    """Name the pairs of arm and seed that have a score on every task."""
    tasks_of: dict[tuple[str, int], set[str]] = {}
    for score in scores:
        tasks_of.setdefault((score.arm, score.seed), set()).add(score.task)
    return {pair for pair, known in tasks_of.items() if known >= set(tasks)}


def draw(scores: Sequence[Score], points: Sequence[Point], folder: Path) -> None:
    """Draw scores.png and curves.png, of what there is."""
    arms = list(dict.fromkeys(row.arm for row in [*scores, *points]))
    for rows, plot, name in (
        (scores, plot_scores, 'scores.png'),
        (points, plot_points, 'curves.png'),
    ):
        if rows:
            plot(rows, arms, folder / name)
