"""Draw one synthetic scene.

A category is a shape, a texture and a loose range of hues; a kind of ground is a
texture and a range of hues between them. Hues overlap, so that they help and do not
settle it. Decoys (plain shapes of any hue) belong to no class.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from ccmim.apps.demo.shapes import OTHER_SHAPES, SHAPES, outline
from ccmim.apps.demo.textures import (
    BACKGROUNDS,
    background_texture,
    object_texture,
    smooth_noise,
)

_PARTS = (
    ('striped', 'blob'),
    ('dotted', 'star'),
    ('checked', 'cross'),
    ('zigzag', 'crescent'),
)
CATEGORIES = tuple(f'{texture}_{shape}' for texture, shape in _PARTS)
_DECOYS = tuple(('plain', shape) for shape in (*SHAPES, *OTHER_SHAPES))
_MIN_INSIDE = 0.6  # fraction of a thing that the frame may not cut off
_MIN_VISIBLE = 0.35  # fraction of what is inside that others may not hide
_MIN_PIXELS = 16  # inside, at any size of the scene

_RED_CYAN = np.array([2, -1, -1]) / 6**0.5
_YELLOW_BLUE = np.array([1, 1, -2]) / 6**0.5
_HUE_SPREAD = 0.6  # radians; neighbors on the circle are an eighth of it apart


class Scene(NamedTuple):
    """A painted scene and what is known of it.

    Attributes:
        image: uint8 (S, S, 3), RGB.
        classes: uint8 (S, S): 0 unlabeled, then categories, then backgrounds.
        objects: Category number (from 0) and visible pixels, bool (S, S), of each
            object; decoys are not among them.
    """

    image: np.ndarray
    classes: np.ndarray
    objects: list[tuple[int, np.ndarray]]


class _Thing(NamedTuple):
    """Something to paint: ``category`` is -1 for a decoy, ``cover`` is 0 to 1."""

    category: int
    texture: str
    cover: np.ndarray
    diameter: float


def paint_scene(size: int, generator: Generator) -> Scene:
    """Paint a scene.

    Args:
        size: Height and width.
        generator: Source of randomness; the scene depends on nothing else.

    Returns:
        The scene.
    """
    light = generator.uniform(0, 2 * np.pi)
    canvas, classes = _paint_ground(size, generator)
    things = _place_things(size, generator)
    owner = np.full((size, size), -1)
    for number, thing in enumerate(things):
        _paint_thing(canvas, thing, light, generator)
        solid = thing.cover >= 0.5
        owner[solid] = number
        classes[solid] = thing.category + 1
    objects = [
        (thing.category, owner == number)
        for number, thing in enumerate(things)
        if thing.category >= 0
    ]
    return Scene(_photograph(canvas, light, generator), classes, objects)


def _place_things(size: int, generator: Generator) -> list[_Thing]:
    """Choose things from back to front, none of them hidden too much by the next."""
    num_objects = int(generator.integers(2, 5))
    num_decoys = int(generator.choice(3, p=(0.6, 0.3, 0.1)))
    kinds = [int(generator.integers(len(_PARTS))) for _ in range(num_objects)]
    kinds = generator.permutation([*kinds, *[-1] * num_decoys]).tolist()
    things: list[_Thing] = []
    visible: list[np.ndarray] = []
    for category in kinds:
        for _ in range(12):
            thing, inside = _place(category, size, things, generator)
            solid = thing.cover >= 0.5
            left = [seen & ~solid for seen in visible]
            enough = all(
                seen.sum() >= _MIN_VISIBLE * (other.cover >= 0.5).sum()
                for seen, other in zip(left, things, strict=True)
            )
            if enough and inside >= _MIN_INSIDE and solid.sum() >= _MIN_PIXELS:
                things.append(thing)
                visible = [*left, solid]
                break
    return things


def _place(
    category: int, size: int, things: list[_Thing], generator: Generator
) -> tuple[_Thing, float]:
    """Draw a thing at a random place; also the fraction of it inside the picture."""
    decoy = _DECOYS[generator.integers(len(_DECOYS))]
    texture, shape = _PARTS[category] if category >= 0 else decoy
    diameter = size * generator.uniform(0.3, 0.65)
    center = generator.uniform(0.05, 0.95, 2) * size
    if things and generator.random() < 0.5:
        # Next to something, so that things overlap more often than by chance.
        rows, columns = np.nonzero(things[-1].cover >= 0.5)
        pick = generator.integers(len(rows))
        angle = generator.uniform(0, 2 * np.pi)
        step = 0.4 * diameter * np.array([np.cos(angle), np.sin(angle)])
        center = np.array([columns[pick], rows[pick]]) + step
    margin = size
    corners = outline(shape, generator) * diameter + center + margin
    cover = np.zeros((size + 2 * margin,) * 2, np.uint8)
    cv2.fillPoly(cover, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    inside = cover[margin:-margin, margin:-margin]
    fraction = np.count_nonzero(inside) / np.count_nonzero(cover)
    return _Thing(category, texture, inside / np.float32(255), diameter), fraction


def _paint_ground(size: int, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paint one to three grounds with wavy borders; also their class map."""
    kinds = generator.permutation(len(BACKGROUNDS))[: generator.integers(1, 4)]
    canvas = np.zeros((size, size, 3), np.float32)
    classes = np.zeros((size, size), np.uint8)
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    for number, kind in enumerate(kinds.tolist()):
        field = background_texture(BACKGROUNDS[kind], size, generator)
        angle = generator.uniform(0, 2 * np.pi)
        border = np.cos(angle) * columns + np.sin(angle) * rows
        border = border + 0.3 * (smooth_noise((size, size), size / 4, generator) - 0.5)
        border = border + generator.uniform(-0.2, 0.2)
        cover = np.clip(0.5 + border * size, 0, 1) if number else np.ones_like(border)
        hue = (kind + 0.5) * np.pi / 2
        paint = _mix(field, hue, (5, 50), (25, 110), generator)
        canvas += cover[..., None] * (paint - canvas)
        classes[cover >= 0.5] = 1 + len(CATEGORIES) + kind
    return canvas, classes


def _paint_thing(
    canvas: np.ndarray, thing: _Thing, light: float, generator: Generator
) -> None:
    """Paint a thing with its shadow and shading over what is there."""
    size = len(canvas)
    unit = size / 128
    reach = int(6 * unit) + 2
    rows, columns = np.nonzero(thing.cover)
    top, left = max(rows.min() - reach, 0), max(columns.min() - reach, 0)
    part = np.s_[top : rows.max() + reach + 1, left : columns.max() + reach + 1]
    below, cover = canvas[part], thing.cover[part]
    shift = (
        generator.uniform(0.5, 3.5) * unit * np.array([np.cos(light), np.sin(light)])
    )
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    shadow = cv2.warpAffine(cover, move, cover.shape[::-1])
    shadow = cv2.GaussianBlur(shadow, (0, 0), 1.5 * unit)
    below *= 1 - generator.uniform(0.1, 0.55) * shadow[..., None]

    period = min(generator.uniform(5, 12) * unit, thing.diameter / 4)
    grid_rows = np.arange(cover.shape[0])[:, None]
    grid_columns = np.arange(cover.shape[1])[None]
    field = object_texture(thing.texture, grid_rows, grid_columns, period, generator)
    hue = thing.category * np.pi / 2
    if thing.category < 0:
        hue = generator.uniform(0, 2 * np.pi)
    paint = _mix(field, hue, (40, 100), (50, 150), generator)
    # Round the surface like a pillow: its slope decides how much light falls on it.
    depth = cv2.distanceTransform((cover >= 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    height = np.sqrt(np.minimum(depth, 0.2 * thing.diameter) / (0.2 * thing.diameter))
    height = cv2.GaussianBlur(height, (0, 0), 0.04 * thing.diameter + 0.5)
    slope = np.cos(light) * np.gradient(height, axis=1)
    slope = slope + np.sin(light) * np.gradient(height, axis=0)
    strength = generator.uniform(0.05, 0.22) * thing.diameter
    paint *= np.clip(1 - strength * slope, 0.35, 1.6)[..., None]
    below += cover[..., None] * (paint - below)


def _mix(
    field: np.ndarray,
    hue: float,
    chroma: tuple[float, float],
    contrast: tuple[float, float],
    generator: Generator,
) -> np.ndarray:
    """Color a field (H, W) with two colors of different lightness: (H, W, 3)."""
    lightness = generator.uniform(45, 210)
    step = generator.uniform(*contrast)
    other = lightness + step if lightness < 127 else lightness - step
    hues = hue + generator.normal(0, _HUE_SPREAD, (2, 1))
    shift = np.cos(hues) * _RED_CYAN + np.sin(hues) * _YELLOW_BLUE
    shift = shift * generator.uniform(*chroma, (2, 1))
    first, second = np.clip(np.array([[lightness], [other]]) + shift, 0, 255)
    return (first + field[..., None] * (second - first)).astype(np.float32)


def _photograph(canvas: np.ndarray, light: float, generator: Generator) -> np.ndarray:
    """Light, blur and blemish a painting as a cheap camera does: uint8."""
    size = len(canvas)
    for _ in range(generator.integers(0, 2)):
        ends = generator.uniform(-0.2, 1.2, (3, 2)) * size * 16
        color = (generator.uniform(20, 220) + generator.uniform(-30, 30, 3)).tolist()
        line = [np.round(ends).astype(np.int32)]
        width = max(1, round(generator.uniform(0.5, 2.5) * size / 128))
        cv2.polylines(canvas, line, False, color, width, cv2.LINE_AA, 4)
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    fall = np.cos(light) * columns + np.sin(light) * rows
    gain = generator.uniform(0.75, 1.15) * (1 - generator.uniform(0, 0.7) * fall)
    canvas = canvas * gain[..., None] * generator.uniform(0.88, 1.08, 3)
    blur = generator.uniform(0, 0.9) * size / 128
    if blur > 0.3:
        canvas = cv2.GaussianBlur(canvas, (0, 0), blur)
    canvas = canvas + generator.normal(0, generator.uniform(1, 9), canvas.shape)
    return np.clip(canvas, 0, 255).astype(np.uint8)
