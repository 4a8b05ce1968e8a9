"""Outlines of the synthetic objects."""

import numpy as np
from numpy.random import Generator

SHAPES = ('blob', 'star', 'cross', 'crescent')
OTHER_SHAPES = ('triangle', 'box', 'bar')


def outline(shape: str, generator: Generator) -> np.ndarray:
    """Draw an outline of a shape family: its own proportions, tilt and direction.

    Args:
        shape: One of ``SHAPES`` or ``OTHER_SHAPES``.
        generator: Source of randomness.

    Returns:
        Corners (P, 2) as x, y around the origin; the longer side of their bounding
        box is 1.
    """
    corners = _FAMILIES[shape](generator)
    tilt = np.array([[1, generator.uniform(-0.25, 0.25)], [0, 1]])
    squeeze = np.diag([1, generator.uniform(0.75, 1)])
    corners = corners @ (_rotation(generator) @ tilt @ squeeze @ _rotation(generator))
    low, high = corners.min(0), corners.max(0)
    return (corners - (low + high) / 2) / (high - low).max()


def _blob(generator: Generator) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radii = np.ones_like(angles)
    for waves in (2, 3, 4):
        phase = generator.uniform(0, 2 * np.pi)
        radii += generator.uniform(0, 0.36 / waves) * np.cos(waves * angles + phase)
    return _polar(radii, angles)


def _star(generator: Generator) -> np.ndarray:
    spikes = int(generator.integers(5, 8))
    angles = np.linspace(0, 2 * np.pi, 2 * spikes, endpoint=False)
    radii = np.where(np.arange(2 * spikes) % 2, generator.uniform(0.38, 0.55), 1.0)
    return _polar(radii * generator.uniform(0.88, 1.12, 2 * spikes), angles)


def _cross(generator: Generator) -> np.ndarray:
    wide, high = generator.uniform(0.24, 0.42, 2)
    quarter = np.array([[wide, 1], [wide, high], [1, high]])
    # Each quarter is the mirror image of the one before it, passed the other way.
    upper = np.concatenate([quarter, quarter[::-1] * [1, -1]])
    return np.concatenate([upper, upper[::-1] * [-1, 1]])


def _crescent(generator: Generator) -> np.ndarray:
    reach = generator.uniform(0.6, 0.8) * np.pi
    outer = np.linspace(-reach, reach, 30)
    bite = generator.uniform(0.45, 0.65)
    tips = np.sin(reach), np.cos(reach)
    # The inner edge is an arc of another circle through the two tips.
    inner = np.linspace(1, -1, 20)
    depth = (1 - bite - tips[1]) * (1 - inner**2)
    inner_edge = np.stack([tips[1] + depth, tips[0] * inner], 1)
    return np.concatenate([_polar(np.ones(30), outer), inner_edge[1:-1]])


def _triangle(generator: Generator) -> np.ndarray:
    angles = np.arange(3) * 2 * np.pi / 3 + generator.uniform(-0.3, 0.3, 3)
    return _polar(np.ones(3), angles)


def _box(generator: Generator) -> np.ndarray:
    return np.array([[1, 1], [-1, 1], [-1, -1], [1, -1.0]])


def _bar(generator: Generator) -> np.ndarray:
    return _box(generator) * [1, generator.uniform(0.12, 0.25)]


def _polar(radii: np.ndarray, angles: np.ndarray) -> np.ndarray:
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)


def _rotation(generator: Generator) -> np.ndarray:
    angle = generator.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


_FAMILIES = {
    'blob': _blob,
    'star': _star,
    'cross': _cross,
    'crescent': _crescent,
    'triangle': _triangle,
    'box': _box,
    'bar': _bar,
}
