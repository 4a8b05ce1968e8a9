"""The figures as an aligned table, and as CSV and JSON files."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_HEADINGS = dict(
    level='level',
    size='ViT',
    batch_size='batch',
    code='code',
    method='method',
    precision='precision',
    images_per_s='img/s',
    ms_per_step='ms/step',
    iqr_percent='IQR %',
    ratio='times',
    ratio_iqr='IQR',
    cpu_ratio='by CPU',
    exact_ratio='to exact',
    saved_mb_per_image='saved MB/img',
    peak_mb='peak MB',
    peak_percent='% of peak',
)
_WORDS = ('level', 'size', 'code', 'method', 'precision')
_DIGITS = dict(ratio=2, ratio_iqr=2, cpu_ratio=2, exact_ratio=2)


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows in columns; a column that is empty throughout is left out."""
    names = [name for name in _HEADINGS if any(row[name] is not None for row in rows)]
    cells = [[_HEADINGS[name] for name in names]]
    cells += [[_format(name, row[name]) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        fields = [
            text.ljust(width) if name in _WORDS else text.rjust(width)
            for name, text, width in zip(names, line, widths, strict=True)
        ]
        lines.append('  '.join(fields).rstrip())
    return '\n'.join(lines)


def write_files(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    rounds: Sequence[Sequence[float]],
    facts: Mapping[str, Any],
) -> None:
    """Write ``benchmark.csv`` (the table) and ``benchmark.json`` (and its sources).

    Args:
        folder: Where to; made if there is none.
        rows: The figures.
        rounds: Seconds of each round of each row.
        facts: Machine, protocol and peak rates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'benchmark.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, list(_HEADINGS))
        writer.writeheader()
        writer.writerows(rows)
    content = dict(
        facts,
        rows=[
            dict(row, seconds_of_rounds=list(seconds))
            for row, seconds in zip(rows, rounds, strict=True)
        ],
    )
    (folder / 'benchmark.json').write_text(json.dumps(content, indent=1) + '\n')


def _format(name: str, value: Any) -> str:
    if value is None:
        return '-'
    if isinstance(value, float):
        digits = _DIGITS.get(name, 0 if value >= 1000 else 1)
        return f'{value:.{digits}f}'
    return f'ViT-{value.upper()}' if name == 'size' else str(value)
