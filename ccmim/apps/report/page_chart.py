"""Charts of the report: data for plotly, thinned to what a screen can show."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from ccmim.apps.report.page_tables import number
from ccmim.apps.runs.scalars import Curve


class Chart(NamedTuple):
    """A value of some runs over their steps.

    Attributes:
        title: What it shows.
        alt: The same in words.
        curves: The curve of each run, by its number in the page.
    """

    title: str
    alt: str
    curves: Mapping[int, Curve]


def make_chart(key: str, names: Sequence[str], curves: Mapping[int, Curve]) -> Chart:
    """Describe a chart in words beside its numbers.

    Args:
        key: The value that it shows.
        names: Names of all runs of the page.
        curves: Its curves by number of the run.
    """
    texts = [
        f'{names[run]} goes from {number(curve.values[0])} at step '
        f'{curve.steps[0]:,} to {number(curve.values[-1])} at step '
        f'{curve.steps[-1]:,}'
        for run, curve in curves.items()
    ]
    return Chart(key, f'Chart of {key}: {"; ".join(texts)}.', curves)


def to_json(charts: Sequence[Chart], names: Sequence[str], points: int) -> Markup:
    """Write the charts for the script of the page.

    Args:
        charts: In the order in which they stand in the page.
        names: Names of all runs of the page.
        points: Points kept of a curve; extremes stay.

    Returns:
        JSON that is safe inside a script element.
    """
    written = []
    for chart in charts:
        thin = {run: thin_out(curve, points) for run, curve in chart.curves.items()}
        lines = [
            dict(
                run=run,
                x=[int(step) for step in curve.steps],
                # A gap where there is no number; six digits are more than is seen.
                y=[float(f'{v:.6g}') if np.isfinite(v) else None for v in curve.values],
            )
            for run, curve in thin.items()
        ]
        written.append(dict(title=chart.title, lines=lines))
    text = json.dumps(dict(names=list(names), charts=written), separators=(',', ':'))
    # JSON knows these escapes, and without the letters no text ends the element.
    return Markup(text.replace('<', r'\u003c').replace('>', r'\u003e'))


def plotly_script() -> Markup:
    """Read plotly's basic bundle: lines, bars and pies, a quarter of the whole.

    It is the file of npm's ``plotly.js-basic-dist-min``, unchanged. The Python package
    has only the whole one, which makes pages of 5 MB that open in twice the time.
    """
    file = Path(__file__).with_name('plotly') / 'plotly-basic.min.js'
    return Markup(file.read_text(encoding='utf-8'))


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
