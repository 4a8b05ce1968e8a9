"""The report: one self-contained page about one or more runs."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ccmim.apps.report.page_chart import Chart, make_chart, plotly_script, to_json
from ccmim.apps.report.page_groups import (
    curves_of,
    first_keys,
    group_runs,
    has_information,
    sort_keys,
)
from ccmim.apps.report.page_pictures import Picture, embed
from ccmim.apps.report.page_tables import (
    Cell,
    Table,
    config_differences,
    environment,
    number,
    overview,
    values,
)
from ccmim.apps.runs.folder import Run
from ccmim.engine.version import this_version
from ccmim.files import one_line, write_file

# What the parts of the largest page may take; together less than 15 MB.
_PICTURE_BYTES, _POINTS, _CONFIG_LETTERS = 6_500_000, 120_000, 1_000_000
_COLORS = 8  # of runs, in page.css
# Where charts stand; all others under 'Training'.
_HEADS = {'Scores': 'Scores', 'More scores': 'Scores', 'Speed': 'Speed'}
# Line breaks and tabs are part of configs.
_CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f]')
_STRIPS, _FRAMES, _SINGLE = 6, 12, 3  # of a run, of a strip, and that stand alone


class Details(NamedTuple):
    """What lies behind the figures of a task.

    Attributes:
        title: Of the task.
        table: Rows of texts, the heads first.
        figures: Pictures, each with its caption.
    """

    title: str
    table: Sequence[Sequence[str]]
    figures: Sequence[tuple[Path, str]] = ()


class Summary(NamedTuple):
    """What stands on top of a report.

    Attributes:
        table: Rows of texts, the heads first; may be empty.
        notes: Paragraphs below it.
        figures: Pictures, each with its caption.
        commands: Shell commands that gave the results.
        facts: Rows that name what was done, the heads first; may be empty.
        details: Behind the figures.
    """

    table: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    figures: Sequence[tuple[Path, str]] = ()
    commands: Sequence[str] = ()
    facts: Sequence[Sequence[str]] = ()
    details: Sequence[Details] = ()


class Group(NamedTuple):
    """Runs that do the same thing, and so share charts and tables.

    Attributes:
        title: Names of the runs.
        parts: Charts by title of the part.
        constants: Values that never change, in words.
        values: Last and best values.
        differences: Settings that are not the same.
    """

    title: str
    parts: Mapping[str, Sequence[Chart]]
    constants: str
    values: Table
    differences: Table


class Strips(NamedTuple):
    """Pictures of one kind.

    Attributes:
        title: Name of the run, and of the pictures if there are several kinds.
        frames: In their order.
        moves: Whether they are one picture at several times.
    """

    title: str
    frames: Sequence[Picture]
    moves: bool


def write_page(file: Path, title: str, runs: Sequence[Run], summary: Summary) -> None:
    """Write the report.

    Args:
        file: Where it goes.
        title: Heading of the page.
        runs: What is compared; each has its color everywhere.
        summary: What stands on top.
    """
    numbered = dict(enumerate(runs))
    groups = _groups(numbered)
    behind = [figure for part in summary.details for figure in part.figures]
    figures, strips = _pictures(runs, [*summary.figures, *behind])
    of_files = dict(
        zip([f for f, _ in (*summary.figures, *behind)], figures, strict=True)
    )
    env = Environment(
        loader=PackageLoader('ccmim', 'apps/report'),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    charts = [c for group in groups for part in group.parts.values() for c in part]
    names = [run.name for run in runs]
    lines = sum(len(chart.curves) for chart in charts)
    data = to_json(charts, names, min(1200, max(10, _POINTS // max(1, lines))))
    script, style = (
        Markup(env.loader.get_source(env, name)[0]) for name in ('page.js', 'page.css')
    )
    plotly = plotly_script() if charts else ''
    digests = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (plotly, script)
    ]
    limit = _CONFIG_LETTERS // max(1, len(runs))
    text = env.get_template('page.html.j2').render(
        title=title,
        date=f'{datetime.now():%Y-%m-%d %H:%M}',
        runs=runs,
        num_colors=_COLORS,
        chart_numbers=iter(range(len(charts))),
        summary=_table(summary.table),
        notes=summary.notes,
        figures=[p for f, _ in summary.figures if (p := of_files[f])],
        facts=_table(summary.facts),
        details=[
            (d.title, _table(d.table), [p for f, _ in d.figures if (p := of_files[f])])
            for d in summary.details
        ],
        made_by=this_version(),
        commands=summary.commands,
        overview=overview(numbered),
        groups=groups,
        strips=strips,
        environment=environment(numbered),
        configs=[(run.name, _lines(run.config_text[:limit])) for run in runs],
        script=script,
        style=style,
        digests=digests,
        plotly=plotly,
        data=data,
    )
    write_file(file, text)


def _visible(value: object) -> object:
    """Show control characters of names, and breaks of lines."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return one_line(value)


def _lines(text: str) -> Markup:
    """Show control characters of a config, but for the breaks of lines."""
    return escape(_CONTROL.sub(lambda match: one_line(match[0]), text))


def _table(rows: Sequence[Sequence[str]]) -> Table | None:
    if not rows:
        return None
    head, *rest = rows
    return Table(head, [(row[0], [Cell(text) for text in row[1:]]) for row in rest])


def _groups(runs: Mapping[int, Run]) -> list[Group]:
    members = [{i: runs[i] for i in ids} for ids in group_runs(list(runs.values()))]
    names = [run.name for run in runs.values()]
    groups = []
    for of_group in members:
        parts: dict[str, list[Chart]] = {}
        still: list[str] = []
        for title, keys in first_keys(sort_keys(list(of_group.values()))).items():
            charts = []
            for key in keys:
                curves = curves_of(of_group, key)
                if not has_information(curves):
                    long = [c for c in curves.values() if len(c.steps) > 1]
                    still += [f'{key} = {number(c.values[-1])}' for c in long]
                    continue
                charts.append(make_chart(key, names, curves))
            if charts:
                parts.setdefault(_HEADS.get(title, 'Training'), []).extend(charts)
        groups.append(
            Group(
                title=_names([run.name for run in of_group.values()]),
                parts=parts,
                constants=', '.join(dict.fromkeys(still)),
                values=values(of_group),
                differences=config_differences(of_group),
            )
        )
    return groups


def _names(names: Sequence[str]) -> str:
    rest = f' and {len(names) - 4} more' if len(names) > 4 else ''
    return ', '.join(names[:4]) + rest


def _pictures(
    runs: Sequence[Run], figures: Sequence[tuple[Path, str]]
) -> tuple[list[Picture | None], list[Strips]]:
    """Embed the given figures and the pictures of the runs, with room for each.

    Pictures that stand alone are left to the figures where there are any.
    """
    chosen: list[tuple[str, list[tuple[str, Path]], bool]] = []
    for run in runs:
        for strip in [s for s in run.pictures if s.frames[0][0]][:_STRIPS]:
            frames = strip.frames
            kept = {
                round(i * (len(frames) - 1) / (_FRAMES - 1)) for i in range(_FRAMES)
            }
            some = [frames[i] for i in sorted(kept)]
            named = [(f'{run.name}, {strip.title}: {when}', f) for when, f in some]
            chosen.append((f'{run.name}: {strip.title}', named, True))
        single = [s for s in run.pictures if not s.frames[0][0]][:_SINGLE]
        if single and not figures:
            named = [(f'{run.name}: {s.title}', s.frames[0][1]) for s in single]
            chosen.append((run.name, named, False))
    count = len(figures) + sum(len(frames) for _, frames, _ in chosen)
    room = _PICTURE_BYTES // max(1, count)

    embedded = [embed(file, caption, room) for file, caption in figures]
    strips = []
    for title, frames, moves in chosen:
        pictures = [embed(file, caption, room) for caption, file in frames]
        if drawn := [picture for picture in pictures if picture]:
            strips.append(Strips(title, drawn, moves))
    return embedded, strips
