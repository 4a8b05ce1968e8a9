"""Pictures of a comparison."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ccmim.experiments.scores import Score, columns, estimate

_WIDTH, _HEIGHT = 2.6, 2.8  # inches of a panel


def plot_scores(scores: Sequence[Score], arms: Sequence[str], file: Path) -> None:
    """Draw a panel for each measure: a dot for each run, a line at the mean.

    Args:
        scores: At least one.
        arms: From left to right.
        file: Picture to write; the suffix says of which kind.
    """
    heads = columns(scores)
    figure = Figure((_WIDTH * len(heads), _HEIGHT + 0.1 * max(map(len, arms))))
    panels = figure.subplots(1, len(heads), squeeze=False)[0]
    for panel, (task, metric) in zip(panels, heads, strict=True):
        for x, arm in enumerate(arms):
            values = [
                s.value for s in scores if s[:2] == (arm, task) and s.metric == metric
            ]
            if not values:
                continue
            mean = estimate(values).mean
            panel.plot([x] * len(values), values, 'o', color=f'C{x}', alpha=0.6)
            panel.plot([x - 0.3, x + 0.3], [mean, mean], color=f'C{x}', linewidth=2)
        panel.set_title(f'{task}: {metric}', fontsize=9)
        panel.set_xticks(range(len(arms)), arms, rotation=60, ha='right', fontsize=8)
        panel.set_xlim(-0.6, len(arms) - 0.4)
        panel.grid(axis='y', alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
