"""One HTML file that shows a run: table, pictures, commands; opens from the disk."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
         padding: 0 1rem; color: #222; }
  table { border-collapse: collapse; }
  th, td { padding: .3rem .9rem; border-bottom: 1px solid #ccc; text-align: right; }
  th:first-child, td:first-child { text-align: left; }
  figure { margin: 1.5rem 0; }
  img { max-width: 100%; image-rendering: pixelated; }
  figcaption, .notes { color: #555; }
  pre { background: #f4f4f4; padding: .7rem; overflow-x: auto; }
</style>
<h1>{{ title }}</h1>
<table>
  <tr>{% for cell in table[0] %}<th>{{ cell }}</th>{% endfor %}</tr>
  {% for row in table[1:] -%}
  <tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
  {% endfor %}
</table>
<div class="notes">{% for note in notes %}<p>{{ note }}</p>{% endfor %}</div>
{% for figure in figures -%}
<figure>
  <img src="data:image/{{ figure.kind }};base64,{{ figure.data }}" alt="">
  <figcaption>{{ figure.caption }}</figcaption>
</figure>
{% endfor -%}
<h2>Commands</h2>
<pre>{{ commands | join('\n') }}</pre>
</html>
"""


class Figure(NamedTuple):
    """A picture and what it shows.

    Attributes:
        file: A PNG or JPEG file.
        caption: What is to be seen.
    """

    file: Path
    caption: str


def write_report(
    file: Path,
    title: str,
    table: Sequence[Sequence[str]],
    notes: Sequence[str],
    figures: Sequence[Figure],
    commands: Sequence[str],
) -> None:
    """Write a report with its pictures inside.

    Args:
        file: Where it goes.
        title: Heading of the page.
        table: Rows of cells, the header first.
        notes: Paragraphs below the table.
        figures: Pictures with captions.
        commands: Shell commands that gave the results.
    """
    embedded = [
        dict(
            kind='jpeg' if figure.file.suffix in ('.jpg', '.jpeg') else 'png',
            data=base64.b64encode(figure.file.read_bytes()).decode(),
            caption=figure.caption,
        )
        for figure in figures
    ]
    page = Environment(autoescape=True).from_string(_PAGE)
    file.write_text(
        page.render(
            title=title, table=table, notes=notes, figures=embedded, commands=commands
        ),
        encoding='utf-8',
    )
