"""Charts as parts of a page: SVG whose colours are those of the page."""

import io
import re
from typing import NamedTuple

from markupsafe import Markup
from matplotlib import rc_context

from ccmim.apps.report.curves import COLOURS, FAINT, INK, Chart

_SHARED = re.compile(r'(id="|#)([mp][0-9a-f]{10})\b')  # clip paths and markers
_ID = re.compile(r' id="([^"]*)"')
_NUMBER = re.compile(r'_\d+\b')
_UNUSED = re.compile(
    r'<metadata>.*?</metadata>\s*|<style type="text/css">.*?</style>', re.DOTALL
)


class Drawing(NamedTuple):
    """A chart in a page.

    Attributes:
        title: What it shows.
        svg: The drawing.
        alt: The same in words.
    """

    title: str
    svg: Markup
    alt: str


def to_svg(chart: Chart, number: int, alt: str) -> Markup:
    """Turn a chart into an SVG element that stands in a page with others.

    Colours become CSS variables, so that light and dark pages have their own. What the
    script of the page needs for zooming stands in ``data-`` attributes: the box of the
    axes in units of the drawing, and the range of each axis.

    Args:
        chart: A drawn chart.
        number: Its number in the page, which makes ids unique.
        alt: What it shows, in words.

    Returns:
        Safe markup.
    """
    stream = io.StringIO()
    with rc_context(
        {'svg.fonttype': 'none', 'svg.hashsalt': 'ccmim', 'path.simplify': False}
    ):
        chart.figure.savefig(stream, format='svg', transparent=True)
    text = _UNUSED.sub('', stream.getvalue())
    body = text[text.index('>', text.index('<svg ')) + 1 :]
    body = _SHARED.sub(rf'\1c{number}-\2', body)
    body = _ID.sub(_as_class, body)
    for run, colour in enumerate(COLOURS):
        body = body.replace(colour, f'var(--run-{run})')
    body = body.replace(INK, 'var(--ink)').replace(FAINT, 'var(--faint)')

    width, height = chart.figure.bbox.size
    box = chart.axes.get_window_extent()
    data = {
        'box': (box.x0, height - box.y1, box.x1, height - box.y0),
        'x': chart.axes.get_xlim(),
        'y': chart.axes.get_ylim(),
    }
    attributes = ' '.join(
        f'data-{name}="{" ".join(f"{v:.10g}" for v in values)}"'
        for name, values in data.items()
    )
    begin = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" ').format(
        f'{width:g}', f'{height:g}', alt
    )
    return begin + Markup(f'{attributes}>{body}')


def _as_class(found: re.Match) -> str:
    name = found[1]
    if re.match(r'c\d+-[mp]', name):
        return found[0]
    return f' class="{_NUMBER.sub("", name)}"'
