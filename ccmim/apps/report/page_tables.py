"""Tables of a report: runs, final values, config differences."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ccmim.apps.report.page_groups import MOST_KEYS, SPEED, best, curves_of, sort_keys
from ccmim.apps.runs.config import differences
from ccmim.apps.runs.folder import Run
from ccmim.apps.runs.scalars import Curve

_ABSENT = '\N{EN DASH}'
_MAX_ROWS, _MAX_TEXT = 150, 300


class Cell(NamedTuple):
    """One cell.

    Attributes:
        text: What is read first.
        note: What stands below it, smaller.
        value: The exact number, if the text is a number.
    """

    text: str
    note: str = ''
    value: float | None = None


class Table(NamedTuple):
    """A table with a row of heads, whose rows begin with a head.

    Attributes:
        head: Texts; the first belongs to the heads of the rows.
        rows: The head of each row and its cells.
        runs: Numbers of the runs of the columns; empty if these are no runs.
    """

    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    runs: Sequence[int] = ()


def number(value: float) -> str:
    """Write a number with four digits."""
    if np.isfinite(value) and value == int(value):
        return f'{value:,.0f}' if abs(value) < 1e9 else f'{value:.3e}'
    return f'{value:.4g}'


def duration(seconds: float) -> str:
    """Write a time as a person would say it."""
    if seconds < 120:
        return f'{seconds:.0f} s'
    if seconds < 7200:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h'


def overview(runs: Mapping[int, Run]) -> Table:
    """Say what each run is, how far it came and how fast it was."""
    rows: dict[str, list[Cell]] = {}
    for run in runs.values():
        for name, cell in _facts(run).items():
            rows.setdefault(name, []).append(cell)
    kept = [(n, cells) for n, cells in rows.items() if any(c.text for c in cells)]
    return _of_runs('', runs, kept)


def values(runs: Mapping[int, Run]) -> Table:
    """Give the last and the best of each value, and the median of speeds."""
    rows = []
    for title, keys in sort_keys(list(runs.values())).items():
        for key in keys:
            curves = curves_of(runs, key)
            rated = title in ('Scores', 'Losses', 'More scores')
            cells = [
                _value(key, curves[i], rated) if i in curves else Cell(_ABSENT)
                for i in runs
            ]
            rows.append((key, cells))
    for key in dict.fromkeys(key for run in runs.values() for key in run.history.tests):
        tested = [run.history.tests.get(key) for run in runs.values()]
        last = [run.history.scores.get(key) for run in runs.values()]
        if tested == [curve and curve.values[-1] for curve in last]:
            continue  # the last validation was on the same images
        cells = [Cell(_ABSENT) if v is None else Cell(number(v), '', v) for v in tested]
        rows.append((f'test: {key}', cells))
    if left := len(rows[MOST_KEYS:]):
        rest = f'{left:,} more keys are not shown', [Cell(_ABSENT) for _ in runs]
        rows = [*rows[:MOST_KEYS], rest]
    return _of_runs('last value', runs, rows)


def config_differences(runs: Mapping[int, Run]) -> Table:
    """List the settings that are not the same in all runs."""
    differing = differences([run.config for run in runs.values() if run.config])
    known = {i: run for i, run in runs.items() if run.config}
    rows = [
        (key, [Cell(_ABSENT if v is None else _short(v)) for v in of_runs])
        for key, of_runs in differing[:_MAX_ROWS]
    ]
    if len(differing) > _MAX_ROWS:
        rest = f'{len(differing) - _MAX_ROWS} more'
        rows.append((rest, [Cell(_ABSENT) for _ in known]))
    return _of_runs('setting', known, rows)


def environment(runs: Mapping[int, Run]) -> Table:
    """List versions and devices as the logs recorded them; one cell if all agree."""
    rows = []
    for key in dict.fromkeys(key for run in runs.values() for key in run.environment):
        values = [_short(run.environment.get(key, _ABSENT)) for run in runs.values()]
        shared = values[:1] if len(set(values)) == 1 else values
        rows.append((key, [Cell(text) for text in shared]))
    return _of_runs('', runs, rows)


def _value(key: str, curve: Curve, rated: bool) -> Cell:
    if key in SPEED:
        middle = float(np.median(curve.values))
        return Cell(number(middle), 'median', middle)
    last, position = float(curve.values[-1]), best(key, curve)
    if not rated or position is None or curve.values[position] == last:
        return Cell(number(last), '', last)
    note = f'best {number(curve.values[position])} at step {curve.steps[position]:,}'
    return Cell(number(last), note, last)


def _facts(run: Run) -> dict[str, Cell]:
    model = run.config.get('model')
    step, planned, training = run.last_step, run.planned_steps, run.history.training
    state = 'finished' if run.is_finished else 'not finished'
    if not run.is_finished and planned:
        state = f'{100 * step // planned} %'
    if run.is_finished:
        step = planned or step  # the last ones need not be logged
    steps = f'of {planned:,} steps' if planned else 'steps'
    epochs, length = '', run.history.epoch_length
    if length and step % length == 0:
        epochs = f'{step // length:,} epochs of {length:,} steps'
    pauses = f'in {run.sessions} sessions' if run.sessions > 1 else ''
    facts = {
        'model': Cell(*_model(model)),
        'data': Cell(_short(_data(run))),
        'state': Cell(state),
        'trained': Cell(f'{step:,} {steps}', epochs, step),
        'begun': Cell(f'{run.begin:%Y-%m-%d %H:%M}' if run.begin else ''),
        'time in training': Cell(duration(run.seconds) if run.seconds else '', pauses),
        'seconds a step': Cell(''),
        'images per second': Cell(''),
        'waiting for data': Cell(''),
        'peak memory (MB)': Cell(''),
        'newest checkpoint': Cell(run.checkpoints[-1] if run.checkpoints else ''),
        'images left out': Cell(f'{len(run.bad_files)}' if run.bad_files else ''),
    }
    times = training['time'].values if 'time' in training else np.empty(0)
    if np.nansum(times) > 0:
        note = f'{number(np.nanmin(times))} to {number(np.nanmax(times))}'
        facts['seconds a step'] = Cell(number(float(np.median(times))), note)
    if 'images_per_second' in training:
        speeds = training['images_per_second'].values
        facts['images per second'] = Cell(number(float(np.median(speeds))))
    if 'data_time' in training and np.nansum(times) > 0:
        fraction = np.nansum(training['data_time'].values) / np.nansum(times)
        facts['waiting for data'] = Cell(f'{100 * fraction:.1f} %')
    if 'memory' in training:
        facts['peak memory (MB)'] = Cell(number(np.nanmax(training['memory'].values)))
    return facts


def _model(model: object) -> tuple[str, str]:
    """Name a model, and its Vision Transformer by size, patch and image."""
    if not isinstance(model, Mapping):
        return '', ''
    vit = model.get('backbone')
    vit = vit if isinstance(vit, Mapping) else {}
    arch, sizes = vit.get('arch'), []
    if isinstance(arch, Mapping):
        sizes.append(f'width {arch.get("embed_dim")}, depth {arch.get("depth")}')
    elif arch:
        sizes.append(f'ViT {arch}')
    sizes += [f'patches of {vit["patch_size"]} px'] if 'patch_size' in vit else []
    sizes += [f'images of {vit["img_size"]} px'] if 'img_size' in vit else []
    return str(model.get('type', '')), ', '.join(map(str, sizes))


def _data(run: Run) -> str:
    """Name what a run learns from, as its config does."""
    loader = run.config.get('train_dataloader')
    data = loader.get('dataset') if isinstance(loader, Mapping) else None
    while isinstance(data, Mapping) and isinstance(data.get('dataset'), Mapping):
        data = data['dataset']
    if not isinstance(data, Mapping):
        return ''
    named = data.get('data') or data.get('ann_file') or data.get('data_prefix')
    if isinstance(named, Mapping):  # folders of photos and of their labels
        named = next(iter(named.values()), '')
    root = str(data.get('data_root') or '')
    return os.path.join(root, str(named)) if root and named else f'{root}{named or ""}'


def _of_runs(
    corner: str, runs: Mapping[int, Run], rows: Sequence[tuple[str, Sequence[Cell]]]
) -> Table:
    return Table([corner, *(run.name for run in runs.values())], rows, list(runs))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f'{text[:_MAX_TEXT]} ...'
