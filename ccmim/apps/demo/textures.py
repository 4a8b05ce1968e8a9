"""Textures of the synthetic objects and their background.

A texture is a field of numbers from 0 to 1 that mixes two colors. All lengths are in
pixels of a scene of side 128 and grow with the scene.
"""

import cv2
import numpy as np
from numpy.random import Generator

BACKGROUNDS = ('grass', 'sand', 'clouds', 'planks')


def object_texture(
    kind: str,
    rows: np.ndarray,
    columns: np.ndarray,
    period: float,
    generator: Generator,
) -> np.ndarray:
    """Draw a repeated pattern, turned, bent and mottled.

    Args:
        kind: ``striped``, ``dotted``, ``checked``, ``zigzag`` or ``plain``.
        rows: Row of each pixel, (H, 1).
        columns: Column of each pixel, (1, W).
        period: Pixels after which the pattern repeats.
        generator: Source of randomness.

    Returns:
        Field (H, W) from 0 to 1.
    """
    shape = len(rows), columns.size
    if kind == 'plain':
        return smooth_noise(shape, 4 * period, generator)
    angle = generator.uniform(0, 2 * np.pi)
    bend = generator.uniform(0, 0.5)
    across = (np.cos(angle) * columns + np.sin(angle) * rows) / period
    along = (np.cos(angle) * rows - np.sin(angle) * columns) / period
    across = across + bend * smooth_noise(shape, 4 * period, generator)
    along = along + bend * smooth_noise(shape, 4 * period, generator)
    bias = generator.uniform(-0.35, 0.35)
    if kind == 'striped':
        field = np.cos(2 * np.pi * across) + bias
    elif kind == 'dotted':
        shifted = across + 0.5 * (np.floor(along) % 2)
        away = (shifted % 1 - 0.5) ** 2 + (along % 1 - 0.5) ** 2
        field = 12 * ((0.34 + 0.12 * bias) ** 2 - away)
    elif kind == 'checked':
        field = 2 * np.sin(np.pi * across) * np.sin(np.pi * along)
    else:
        slope = generator.uniform(0.5, 0.8)
        field = np.cos(2 * np.pi * (along + slope * abs(across % 2 - 1))) + bias
    edges = np.clip(0.5 + field * generator.uniform(0.7, 1.6), 0, 1)
    return 0.85 * edges + 0.15 * smooth_noise(shape, 1.5 * period, generator)


def background_texture(kind: str, side: int, generator: Generator) -> np.ndarray:
    """Draw a ground that fills a whole scene.

    Args:
        kind: One of ``BACKGROUNDS``.
        side: Height and width of the scene.
        generator: Source of randomness.

    Returns:
        Field (side, side) from 0 to 1.
    """
    unit = side / 128
    whole = (side, side)
    broad = smooth_noise(whole, 40 * unit, generator)
    if kind == 'clouds':
        octaves = [smooth_noise(whole, s * unit, generator) for s in (64, 32, 16, 8)]
        return np.average(octaves, axis=0, weights=(8, 5, 3, 2))
    if kind == 'sand':
        grain = smooth_noise(whole, generator.uniform(1.2, 2.2) * unit, generator)
        return 0.65 * grain + 0.35 * broad
    rows, columns = _turned(side, generator, 0.5 if kind == 'grass' else np.pi)
    if kind == 'grass':
        blades = smooth_noise((2 * side, 2 * side), 2.2 * unit, generator, stretch=6)
        return 0.7 * _sample(blades, rows, columns) + 0.3 * broad
    width = generator.uniform(11, 20) * unit
    board = rows / width
    gaps = np.clip((0.5 - abs(board % 1 - 0.5)) * width / (1.2 * unit), 0, 1)
    shades = generator.random(4 * int(side / width) + 8)
    tone = shades[np.floor(board).astype(int) % len(shades)]
    grain = smooth_noise((2 * side, 2 * side), 2.5 * unit, generator, stretch=1 / 8)
    return gaps * (0.5 * tone + 0.5 * _sample(grain, rows, columns))


def smooth_noise(
    shape: tuple[int, int], scale: float, generator: Generator, stretch: float = 1.0
) -> np.ndarray:
    """Draw noise that is smooth over a given length.

    Args:
        shape: Height and width of the field.
        scale: Pixels over which it changes.
        generator: Source of randomness.
        stretch: How many times longer the grain is down the rows.

    Returns:
        Field from 0 to 1.
    """
    height = max(2, round(shape[0] / (scale * max(stretch, 1))) + 2)
    width = max(2, round(shape[1] / (scale * max(1 / stretch, 1))) + 2)
    coarse = generator.random((height, width), np.float32)
    fine = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(fine, 0, 1)


def _turned(
    side: int, generator: Generator, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel in a frame turned by up to ``reach`` radians."""
    angle = generator.uniform(-reach, reach)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) - side / 2
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * rows - sin * columns + side, sin * rows + cos * columns + side


def _sample(field: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return cv2.remap(field, columns, rows, cv2.INTER_LINEAR)
