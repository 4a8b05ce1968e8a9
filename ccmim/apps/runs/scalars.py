"""Curves of a run, from mmengine's JSON lines.

Several sessions of one run, interrupted and resumed, are one history.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

_PLACES = ('step', 'iter', 'epoch')
_MOST_STEPS = 10**15
_AP = re.compile(r'(bbox|segm)_(mAP|AR)')
_TIMES = ('time', 'data_time')  # of testing: they would mix with those of training


class Curve(NamedTuple):
    """A value over the steps of a run.

    Attributes:
        steps: Rising counts of optimizer steps, of shape (K,).
        values: The value at each, of shape (K,); may hold nan.
    """

    steps: np.ndarray
    values: np.ndarray


class History(NamedTuple):
    """What a run has logged.

    Attributes:
        training: Curves of training, by key.
        scores: Curves of validation, by key.
        epoch_length: Steps of an epoch; 0 for a run that does not count epochs.
        tests: The newest result of each test measure.
    """

    training: dict[str, Curve]
    scores: dict[str, Curve]
    epoch_length: int
    tests: dict[str, float]


def read_lines(file: Path) -> list[dict[str, float]]:
    """Read the numbers of each whole JSON line; others are passed over.

    Args:
        file: Lines such as ``{"loss": 0.7, "iter": 50, "step": 50}``. A line that
            was being written when the process died is no reason to fail.

    Returns:
        A mapping a line.
    """
    parsed = []
    with file.open(encoding='utf-8', errors='replace') as stream:
        for text in stream:
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict) and _has_position(values := numbers(line)):
                parsed.append(values)
    return parsed


def numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Pick what is a number; an integer beyond all floats is infinite."""
    kept = {}
    for key, value in values.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                float(value)
            except OverflowError:
                value = math.inf if value > 0 else -math.inf
            kept[str(key)] = value
    return kept


def _has_position(line: Mapping[str, float]) -> bool:
    return all(0 <= line.get(key, 0) <= _MOST_STEPS for key in _PLACES)


def merge(sessions: Sequence[Sequence[Mapping[str, float]]]) -> History:
    """Join the sessions of a run.

    A later session takes the place of everything from its first step on: what a killed
    process logged beyond its last checkpoint is done again, and a run that was started
    anew leaves nothing of the old one.

    Args:
        sessions: The lines of each, oldest first.

    Returns:
        The history.
    """
    length = _epoch_length([line for lines in sessions for line in lines])
    rows: list[tuple[int, bool, Mapping[str, float]]] = []
    tests: dict[str, float] = {}
    for lines in sessions:
        begin = next((_step(line) for line in lines if _is_training(line)), None)
        if begin is None:
            for line in lines:
                tests |= _values(line, but=_TIMES)
            continue
        rows = [row for row in rows if row[0] < begin]
        now = 0
        for line in lines:
            if _is_training(line):
                now = _step(line)
            # A validation counts epochs, or steps; it comes after what it tests.
            counts_steps = _is_training(line) or any(map(_is_probe, line))
            step = max(now, _step(line) * (1 if counts_steps else length or 1))
            rows.append((step, _is_training(line), line))
    training, scores = _curves(rows, True), _curves(rows, False)
    for key in training.keys() & scores.keys():
        scores[f'val/{key}'] = scores.pop(key)
    return History(training, scores, length, tests)


def _is_training(line: Mapping[str, float]) -> bool:
    return 'iter' in line or 'lr' in line


def _is_probe(key: str) -> bool:
    return key.startswith('probe/')


def _step(line: Mapping[str, float]) -> int:
    return int(line.get('step', line.get('iter', 0)))


def _values(line: Mapping[str, float], but: Sequence[str] = ()) -> dict[str, float]:
    values = {k: float(v) for k, v in line.items() if k not in (*_PLACES, *but)}
    return {key: in_percent(key, value) for key, value in values.items()}


def in_percent(key: str, value: float) -> float:
    """Convert COCO's AP to per cent, as all other scores are; -1 becomes NaN."""
    if not _AP.search(key):
        return value
    return math.nan if value < 0 else 100 * value


def _epoch_length(lines: Sequence[Mapping[str, float]]) -> int:
    """Count the steps of an epoch: the least that explains step and epoch."""
    pairs = [
        (_step(line), int(line['epoch'])) for line in lines if line.get('epoch', 0) >= 1
    ]
    return max((math.ceil(step / epoch) for step, epoch in pairs), default=0)


def _curves(
    rows: Sequence[tuple[int, bool, Mapping[str, float]]], training: bool
) -> dict[str, Curve]:
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for step, is_training, line in rows:
        if is_training == training:
            for key, value in _values(line, but=() if training else _TIMES).items():
                points[key][step] = value
    curves = {}
    for key, by_step in points.items():
        steps = sorted(by_step)
        curves[key] = Curve(np.array(steps), np.array([by_step[s] for s in steps]))
    return curves
