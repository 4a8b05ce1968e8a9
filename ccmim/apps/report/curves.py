"""Charts of the values of runs, for the report and for picture files."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ccmim.apps.runs.scalars import Curve

# Told apart by people with all kinds of colour vision, and at 3:1 or more on white.
COLOURS = (
    '#1c66d6',
    '#c2530a',
    '#18794e',
    '#8a3ffc',
    '#c4236b',
    '#0b7285',
    '#8a6500',
    '#5c5f66',
)
INK, FAINT = '#2f3437', '#d9dce0'
_DASHES = ('-', '--', ':', '-.')  # for the ninth run and beyond
_MARKED = 25  # curves of no more points show each
_SMOOTHED = 150  # curves of more points get their running mean


class Line(NamedTuple):
    """A curve of a chart.

    Attributes:
        run: Number of the run, which is its colour everywhere.
        label: What the legend calls it.
        curve: The values.
    """

    run: int
    label: str
    curve: Curve


class Chart(NamedTuple):
    """A drawn chart and its axes, which the page needs for zooming.

    Attributes:
        figure: The drawing.
        axes: Where the lines are.
    """

    figure: Figure
    axes: Axes


def colour(run: int) -> str:
    """Name the colour of a run."""
    return COLOURS[run % len(COLOURS)]


def draw_curves(
    lines: Sequence[Line],
    title: str = '',
    size: tuple[float, float] = (5.2, 2.9),
    legend: bool = False,
    max_points: int = 1200,
) -> Chart:
    """Draw values over steps.

    A long noisy curve is drawn thin, with its running mean on top.

    Args:
        lines: The curves.
        title: What stands above.
        size: Width and height in inches.
        legend: Whether to name the lines inside.
        max_points: Points kept of a curve; extremes stay.

    Returns:
        The chart.
    """
    figure = Figure(size, dpi=72, layout='constrained')
    axes = figure.subplots()
    for line in lines:
        _draw(axes, line, max_points)
    axes.set_title(title, loc='left', fontsize=11, color=INK)
    axes.set_xlabel('step', color=INK, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,.0f}'))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:.5g}'))
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if legend:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    figure.draw_without_rendering()  # places the axes
    figure.set_layout_engine('none')
    return Chart(figure, axes)


def thin_out(curve: Curve, count: int) -> Curve:
    """Keep some of the points: the least and the greatest value of each stretch.

    Args:
        curve: Steps and values, of shape (K,).
        count: How many are kept at most; at least 4.

    Returns:
        The curve of at most ``count`` points; the first and the last step stay.
    """
    if len(curve.steps) <= count:
        return curve
    inner = np.arange(1, len(curve.steps) - 1)
    kept = {0, len(curve.steps) - 1}
    for part in np.array_split(inner, (count - 2) // 2):
        values = curve.values[part]
        if np.isfinite(values).any():
            kept |= {int(part[np.nanargmin(values)]), int(part[np.nanargmax(values)])}
    ids = sorted(kept)
    return Curve(curve.steps[ids], curve.values[ids])


def running_mean(curve: Curve, window: int) -> Curve:
    """Average each value with its neighbours; near the ends with those there are."""
    known = np.isfinite(curve.values)
    ones = np.ones(window)
    total = np.convolve(np.where(known, curve.values, 0), ones, 'same')
    count = np.convolve(known, ones, 'same')
    with np.errstate(invalid='ignore'):
        return Curve(curve.steps, np.where(count > 0.5, total / count, np.nan))


def _draw(axes: Axes, line: Line, max_points: int) -> None:
    style = dict(color=colour(line.run), gid=f'line run-{line.run}')
    style['linestyle'] = _DASHES[line.run // len(COLOURS) % len(_DASHES)]
    style['solid_capstyle'] = style['solid_joinstyle'] = 'round'
    marker = 'o' if len(line.curve.steps) <= _MARKED else None
    if len(line.curve.steps) <= _SMOOTHED:
        thin = thin_out(line.curve, max_points)
        axes.plot(
            *thin, linewidth=1.8, marker=marker, markersize=4, label=line.label, **style
        )
        return
    axes.plot(*thin_out(line.curve, max_points), linewidth=0.8, alpha=0.35, **style)
    smooth = running_mean(line.curve, max(3, len(line.curve.steps) // 40) | 1)
    axes.plot(
        *thin_out(smooth, max_points // 2), linewidth=1.8, label=line.label, **style
    )
