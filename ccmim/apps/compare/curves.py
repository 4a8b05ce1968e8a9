"""Logged curves of the pretraining runs of an experiment."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ccmim.apps.runs.folder import read_run
from ccmim.files import replacing, write_file

# What a run logs -> what a curve is called.
_LOGGED = {
    'probe/knn_accuracy': 'k-NN during training',
    'probe/feature_rank': 'rank of the features',
    'mask_importance_gap': 'importance gap',
}
MINUTES = 'minutes'
_WIDTH, _HEIGHT = 4.2, 3.2  # inches of a panel
_LETTER = 0.065  # inches, of a name


class Point(NamedTuple):
    """One value of one run.

    Attributes:
        arm: Whose run.
        seed: Its seed.
        measure: What was measured.
        epoch: Epochs done.
        value: The value; of several in an epoch the mean.
    """

    arm: str
    seed: int
    measure: str
    epoch: int
    value: float


def read_points(arm: str, seed: int, work_dir: Path) -> list[Point]:
    """Read the curves of a run, interrupted or not, and how long it has taken.

    Args:
        arm: Its name.
        seed: Its seed.
        work_dir: Its folder.

    Returns:
        Points; none if there is no run.
    """
    if not work_dir.is_dir():
        return []
    run = read_run(work_dir, arm)
    points = []
    for key, measure in _LOGGED.items():
        curve = (run.history.training | run.history.scores).get(key)
        if curve is None or not run.history.epoch_length:
            continue
        epochs = -(-curve.steps // run.history.epoch_length)
        for epoch in np.unique(epochs).tolist():
            value = float(np.mean(curve.values[epochs == epoch]))
            points.append(Point(arm, seed, measure, epoch, value))
    if points:
        last = max(point.epoch for point in points)
        points.append(Point(arm, seed, MINUTES, last, run.seconds / 60))
    return points


def write_points(points: Iterable[Point], file: Path) -> None:
    """Write every point, one a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(Point._fields)
    writer.writerows((*p[:4], f'{p.value:.4f}') for p in points)
    write_file(file, text.getvalue())


def load_points(file: Path) -> list[Point]:
    """Read what ``write_points`` wrote."""
    with file.open(newline='') as lines:
        return [
            Point(
                row['arm'],
                int(row['seed']),
                row['measure'],
                int(row['epoch']),
                float(row['value']),
            )
            for row in csv.DictReader(lines)
        ]


def values_of(
    points: Sequence[Point], arm: str, measure: str
) -> dict[int, dict[int, float]]:
    """Return the values of an arm by epoch and seed, in ascending epochs."""
    by_epoch: dict[int, dict[int, float]] = {}
    for point in sorted(points, key=lambda point: point.epoch):
        if point.arm == arm and point.measure == measure:
            by_epoch.setdefault(point.epoch, {})[point.seed] = point.value
    return by_epoch


def plot_points(points: Sequence[Point], arms: Sequence[str], file: Path) -> None:
    """Draw a panel for each measure: the mean of each arm, and the range of its seeds.

    Args:
        points: At least one.
        arms: Which, in the order of the legend; the place gives the color.
        file: Picture to write; the suffix says of which kind.
    """
    measures = [m for m in _LOGGED.values() if any(p.measure == m for p in points)]
    shown = {arm: i for i, arm in enumerate(arms) if any(p.arm == arm for p in points)}
    names = 0.6 + _LETTER * max(map(len, shown))
    height = max(_HEIGHT, 0.22 * len(shown) + 1)
    figure = Figure((_WIDTH * len(measures) + names, height))
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for panel, measure in zip(panels, measures, strict=True):
        for arm, i in shown.items():
            by_epoch = values_of(points, arm, measure)
            rows = [list(by_seed.values()) for by_seed in by_epoch.values()]
            look = dict(color=f'C{i % 10}', linestyle=('-', '--', ':')[i // 10 % 3])
            epochs = list(by_epoch)
            panel.plot(epochs, [np.mean(r) for r in rows], label=arm, **look)
            panel.fill_between(
                epochs,
                [min(r) for r in rows],
                [max(r) for r in rows],
                color=look['color'],
                alpha=0.12,
                linewidth=0,
            )
        panel.set_title(measure, fontsize=9)
        panel.set_xlabel('epoch', fontsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc='center right',
        fontsize=7,
        frameon=False,
    )
    figure.tight_layout(rect=(0, 0, 1 - names / figure.get_figwidth(), 1))
    with replacing(file) as part:
        figure.savefig(part, dpi=130)
