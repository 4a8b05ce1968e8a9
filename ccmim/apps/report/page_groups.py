"""Grouping of runs and values in a report."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ccmim.apps.runs.folder import Run
from ccmim.apps.runs.scalars import Curve

# Logged by every run, whatever it does.
_COMMON = {'loss', 'lr', 'base_lr', 'grad_norm', 'momentum', 'weight_decay', 'acc'}
MOST_KEYS = 1_000  # of a group of runs that a report draws and lists
SPEED = (
    'images_per_second',
    'time',
    'data_time',
    'loader_ratio',
    'loader_share',
    'memory',
)
_OPTIMIZER = re.compile(
    r'(.*/)?(base_)?(lr|momentum|weight_decay|grad_norm)|.*grad_norm'
)
_LESS_IS_BETTER = re.compile(r'loss|error|nme|epe|mae$|rmse|perplexity', re.IGNORECASE)
_DETAIL = re.compile(r'_(50|75|s|m|l)$|_mAP_\d|_copypaste$')


def group_runs(runs: Sequence[Run]) -> list[list[int]]:
    """Gather the runs that do the same thing: those that log a value of its own kind.

    Args:
        runs: All runs.

    Returns:
        Numbers of runs by group, in the order in which they come.
    """
    groups: list[tuple[set[str], list[int]]] = []
    for i, run in enumerate(runs):
        own = (run.history.training.keys() | run.history.scores.keys()) - _COMMON
        own = {key for key in own if key not in SPEED} or {'nothing of its own'}
        near = [group for group in groups if group[0] & own]
        for group in near:
            groups.remove(group)
        keys = own.union(*(group[0] for group in near))
        groups.append((keys, sorted([i, *(j for group in near for j in group[1])])))
    return sorted(members for _, members in groups)


def sort_keys(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Sort what some runs have logged into the parts of a report.

    Args:
        runs: The runs.

    Returns:
        Keys by title of the part; parts without keys are left out.
    """
    scores = list(dict.fromkeys(key for run in runs for key in run.history.scores))
    rest = list(dict.fromkeys(key for run in runs for key in run.history.training))
    parts: dict[str, list[str]] = {
        'Scores': [key for key in scores if not _DETAIL.search(key)],
        'Losses': sorted((k for k in rest if 'loss' in k), key=lambda k: k != 'loss'),
        'Monitored values': [],
        'Optimization': [key for key in rest if _OPTIMIZER.fullmatch(key)],
        'Speed': [key for key in SPEED if key in rest],
        'More scores': [key for key in scores if _DETAIL.search(key)],
    }
    known = {key for keys in parts.values() for key in keys}
    if all(_same(run.history.training, 'base_lr', 'lr') for run in runs):
        parts['Optimization'] = [k for k in parts['Optimization'] if k != 'base_lr']
    parts['Monitored values'] = [key for key in rest if key not in known]
    return {title: keys for title, keys in parts.items() if keys}


def first_keys(parts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Leave out what is beyond ``MOST_KEYS``, which nobody reads.

    Args:
        parts: Keys by title of the part.
    """
    kept, room = {}, MOST_KEYS
    for title, keys in parts.items():
        kept[title] = keys[:room]
        room -= len(kept[title])
    return kept


def curves_of(runs: Mapping[int, Run], key: str) -> dict[int, Curve]:
    """Find a value in the runs that have logged it.

    Args:
        runs: Runs by number.
        key: Of a value in training or validation.

    Returns:
        Curves by number of the run.
    """
    by_run = {}
    for i, run in runs.items():
        curve = run.history.scores.get(key) or run.history.training.get(key)
        if curve is not None:
            by_run[i] = curve
    return by_run


def has_information(curves: Mapping[int, Curve]) -> bool:
    """Whether a chart is worth its place: some curve has points, and they differ."""
    long = any(len(curve.steps) > 1 for curve in curves.values())
    values = np.concatenate([curve.values for curve in curves.values()])
    values = values[np.isfinite(values)]
    return long and len(values) > 0 and bool((values != values[0]).any())


def best(key: str, curve: Curve) -> int | None:
    """Find the place of the best value of a loss (least) or a score (greatest)."""
    if not np.isfinite(curve.values).any():
        return None
    if _LESS_IS_BETTER.search(key):
        return int(np.nanargmin(curve.values))
    return int(np.nanargmax(curve.values))


def _same(curves: Mapping[str, Curve], one: str, other: str) -> bool:
    if not {one, other} <= curves.keys():
        return True
    return np.array_equal(curves[one].values, curves[other].values, equal_nan=True)
