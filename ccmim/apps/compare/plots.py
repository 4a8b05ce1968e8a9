"""Plots of a comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from ccmim.apps.compare.gains import Gain, Samples, at_ends, find_gains, verdict
from ccmim.apps.compare.scores import Score, columns, estimate, write_csv
from ccmim.apps.compare.tables import markdown, weights_of_images
from ccmim.files import replacing, write_file

_WIDTH, _HEIGHT = 3.2, 0.26  # inches of a panel, and of a row
_LETTER = 0.075  # inches, of a name


def plot_scores(scores: Sequence[Score], arms: Sequence[str], file: Path) -> None:
    """Draw a panel for each measure and a row for each arm.

    A dot for each run, a tick at the mean, a line for its 95 % confidence interval.

    Args:
        scores: At least one.
        arms: From top to bottom.
        file: Picture to write; the suffix says of which kind.
    """
    heads = columns(scores)
    names = 0.3 + _LETTER * max(map(len, arms))
    figure = Figure((names + _WIDTH * len(heads), 0.9 + _HEIGHT * len(arms)))
    panels = figure.subplots(1, len(heads), squeeze=False, sharey=True)[0]
    for panel, (task, metric) in zip(panels, heads, strict=True):
        for y, arm in enumerate(arms):
            values = [
                s.value for s in scores if s[:2] == (arm, task) and s.metric == metric
            ]
            if not values:
                continue
            mean, _, half, count = estimate(values)
            panel.plot(values, [y] * count, 'o', color=f'C{y % 10}', alpha=0.6)
            panel.plot([mean, mean], [y - 0.3, y + 0.3], color=f'C{y % 10}', lw=2)
            if count > 1:
                ends = [mean - half, mean + half]
                panel.plot(ends, [y, y], color=f'C{y % 10}', lw=1)
        panel.set_title(f'{task}: {metric}', fontsize=9)
        panel.set_yticks(range(len(arms)), arms, fontsize=8)
        panel.set_ylim(len(arms) - 0.4, -0.6)
        panel.tick_params(axis='x', labelsize=8)
        panel.grid(alpha=0.3)
    figure.tight_layout()
    with replacing(file) as part:
        figure.savefig(part, dpi=130)


def write_table(
    scores: Sequence[Score],
    arms: Sequence[str],
    out: Path,
    samples: Samples | None = None,
    gains: Mapping[str, Sequence[Gain]] | None = None,
    fractions: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """Write what the finished runs have scored: a table, all scores, a picture.

    Args:
        scores: All scores.
        arms: The rows; differences are to the first.
        out: Folder for table.md, scores.csv and scores.png.
        samples: What each tested image adds, for the interval of a single run.
        gains: The leads over the first by arm, where they were found already.
        fractions: Of the labels that were trained with, by the data and the task.

    Returns:
        The table, and where it stands; empty if there is no score.
    """
    if not scores:
        return ''
    if gains is None:
        gains = {arm: find_gains(scores, arm, arms[0], samples) for arm in arms[1:]}
    text = markdown(scores, arms, samples=samples, known=gains)
    for arm in arms[1:]:
        sentence = verdict(arm, at_ends(gains[arm], fractions or {}))
        text += f'\nAgainst {arms[0]}: {sentence}\n' if sentence else ''
    for line in weights_of_images(samples or {}, fractions):
        text += f'\n{line}.\n'
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / 'table.md', text)
    write_csv(scores, out / 'scores.csv')
    plot_scores(scores, arms, out / 'scores.png')
    return f'{text}\nwritten to {out}: table.md, scores.csv, scores.png'
