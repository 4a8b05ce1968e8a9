"""Details of a comparison: per-class scores, confusions, curves.

C classes, n test images.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ccmim.apps.compare.gains import Samples
from ccmim.apps.compare.scores import Score
from ccmim.evaluation.resampling import MOST_CONFUSED
from ccmim.evaluation.samples import Classified, Confusions, Matches, Segments
from ccmim.files import replacing

_COLORS = ('#4269d0', '#efb118', '#ff725c', '#6cc5b0')
_COUNTED = {Classified: 'test images', Matches: 'objects', Segments: 'segments'}
_DASH = '\N{EN DASH}'


def class_table(
    samples: Samples, task: str, arms: Sequence[str], classes: Sequence[str]
) -> list[list[str]]:
    """List each class's figures, of the first seed.

    Args:
        samples: What each tested image adds.
        task: Of what.
        arms: The columns.
        classes: Names of the classes.

    Returns:
        Rows, the head first; empty where nothing is known.
    """
    of_task = {key: sample for key, sample in samples.items() if key[1] == task}
    metrics = list(dict.fromkeys(metric for _, _, _, metric in of_task))
    by_head: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for (arm, _, _, metric), sample in of_task.items():
        by_head.setdefault((metric, arm), sample.by_class(len(classes)))
    heads = [(m, arm) for m in metrics for arm in arms if (m, arm) in by_head]
    if not heads:
        return []
    kind = type(next(iter(of_task.values())))
    what = _COUNTED.get(kind, 'pixels')
    counts = by_head[heads[0]][1]
    rows = [['', what, *(f'{metric}, {arm}' for metric, arm in heads)]]
    for i, name in enumerate(classes):
        values = [by_head[head][0][i] for head in heads]
        rows.append([name, f'{counts[i]:,.0f}', *map(_percent, values)])
    return rows


def draw_confusions(
    samples: Mapping[str, Classified | Confusions], classes: Sequence[str], file: Path
) -> bool:
    """Draw how often each class is taken for which, a matrix for each title.

    Images are counted; of pixels per cent of those of the class.

    Args:
        samples: By title.
        classes: Their names.
        file: PNG to write.

    Returns:
        Whether there was something to draw.
    """
    if not samples or len(classes) > MOST_CONFUSED:
        return False
    count = len(classes)
    side = max(3.0, min(9.0, 0.42 * count + 1.6))
    figure = Figure((side * len(samples), side))
    panels = figure.subplots(1, len(samples), squeeze=False)[0]
    for panel, (title, sample) in zip(panels, samples.items(), strict=True):
        if is_of_pixels := isinstance(sample, Confusions):
            matrix = sample.pairs.sum(0)
        else:
            matrix = np.zeros((count, count), int)
            np.add.at(matrix, (sample.label, sample.predicted), 1)
        rates = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
        panel.imshow(rates, cmap='Blues', vmin=0, vmax=1)
        shown = np.round(100 * rates).astype(int) if is_of_pixels else matrix
        for i, j in np.argwhere(shown) if count <= 20 else ():
            ink = 'white' if rates[i, j] > 0.5 else 'black'
            panel.text(j, i, shown[i, j], ha='center', va='center', color=ink)
        panel.set_xticks(range(count), classes, rotation=45, ha='right', fontsize=8)
        panel.set_yticks(range(count), classes, fontsize=8)
        panel.set_xlabel('predicted')
        panel.set_ylabel('true')
        panel.set_title(title, fontsize=10)
    _save(figure, file)
    return True


def draw_precision_recall(samples: Mapping[str, Matches], file: Path) -> bool:
    """Draw precision over recall at an overlap of 0.5, the mean of the classes."""
    if not samples:
        return False
    figure = Figure((5.2, 3.8))
    panel = figure.subplots()
    recalls = np.linspace(0, 1, 101)
    for (title, sample), color in zip(samples.items(), _COLORS, strict=False):
        panel.plot(recalls, sample.precisions(), label=title, color=color, lw=2)
    panel.set_xlabel('recall')
    panel.set_ylabel('precision')
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1.02)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=9)
    _save(figure, file)
    return True


def draw_fractions(
    scores: Sequence[Score],
    fractions: Mapping[str, Mapping[str, float]],
    arms: Sequence[str],
    file: Path,
) -> bool:
    """Draw figures over the fraction of the labels that was trained with.

    Args:
        scores: All scores.
        fractions: Of each task, by what the data are called.
        arms: The curves.
        file: PNG to write.

    Returns:
        Whether some data have several fractions.
    """
    panels = [
        (name, metric)
        for name, tasks in fractions.items()
        if len(tasks) > 1
        for metric in dict.fromkeys(s.metric for s in scores if s.task in tasks)
    ]
    if not panels:
        return False
    figure = Figure((4.2 * len(panels), 3.6))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for panel, (name, metric) in zip(axes, panels, strict=True):
        tasks = fractions[name]
        for arm, color in zip(arms, _COLORS, strict=False):
            points: dict[float, list[float]] = {}
            for score in scores:
                if (score.arm, score.metric) == (arm, metric) and score.task in tasks:
                    points.setdefault(tasks[score.task], []).append(score.value)
            xs = sorted(points)
            means = [np.mean(points[x]) for x in xs]
            panel.plot([100 * x for x in xs], means, 'o-', label=arm, color=color)
        panel.set_xscale('log')
        ticks = [100 * x for x in sorted(tasks.values())]
        panel.set_xticks(ticks, [f'{x:.3g} %' for x in ticks])
        panel.minorticks_off()
        panel.set_xlabel('of the labels')
        panel.set_title(f'{name}: {metric}', fontsize=10)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=9)
    _save(figure, file)
    return True


def _percent(value: float) -> str:
    return f'{value:.1f}' if np.isfinite(value) else _DASH


def _save(figure: Figure, file: Path) -> None:
    figure.tight_layout()
    with replacing(file) as part:
        figure.savefig(part, dpi=110)
