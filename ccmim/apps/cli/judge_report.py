"""What ``ccmim judge`` writes: the table, its figures as JSON, pictures."""

import json
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ccmim.evaluation.dense_features import DenseFeatures
from ccmim.evaluation.judging import MEASURES, Judgment
from ccmim.evaluation.labeled_photos import LabeledPhotos
from ccmim.evaluation.resampling import difference_range
from ccmim.files import replacing, write_file
from ccmim.pictures.judged import (
    box_sheet,
    cluster_sheet,
    nearest_patch,
    nearest_sheet,
    same_patch,
)
from ccmim.pictures.patch_neighbors import salient_patches


class Judged(NamedTuple):
    """A network, what it makes of the photos, and what that is worth."""

    train: DenseFeatures
    test: DenseFeatures
    judgment: Judgment


def find_differences(judged: dict[str, Judged]) -> dict[str, dict[str, list[float]]]:
    """Bound how far each of the others is from the first, by measure."""
    (_, first), *others = judged.items()
    rows: dict[str, dict[str, list[float]]] = {}
    for name, other in others:
        for measure, ours in other.judgment.samples.items():
            theirs = first.judgment.samples.get(measure)
            if theirs is not None:
                ranges = rows.setdefault(measure, {})
                ranges[name] = list(difference_range(ours, theirs))
    return rows


def format_table(
    judged: dict[str, Judged], rows: dict[str, dict[str, list[float]]]
) -> str:
    """Write a line for each measure, a column for each network."""
    names = list(judged)
    lines = [['', *names]]
    first = judged[names[0]].judgment.figures
    for measure, title in MEASURES.items():
        if measure not in first:
            continue
        digits = 3 if measure == 'likeness' else 2
        cells = [title]
        for name in names:
            value = judged[name].judgment.figures.get(measure)
            cell = '-' if value is None else f'{value:.{digits}f}'
            if name in rows.get(measure, {}):
                low, high = rows[measure][name]
                cell += (
                    f'  {value - first[measure]:+.{digits}f} '
                    f'[{low:+.{digits}f}, {high:+.{digits}f}]'
                )
            cells.append(cell)
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]
    if len(names) > 1:
        text.append(
            f'Behind figures: difference to {names[0]} [the 95 % of it that other test '
            'photos would give]'
        )
    return '\n'.join(line.rstrip() for line in text)


def write_judgment(
    out: Path,
    text: str,
    photos: LabeledPhotos,
    sizes: dict[str, tuple[int, int]],
    judged: dict[str, Judged],
    rows: dict[str, dict[str, list[float]]],
    args: Namespace,
) -> None:
    """Write the figures, their differences and the table."""
    content = dict(
        weights=args.weights,
        data=str(args.data),
        photos=dict(train=len(photos.train), test=len(photos.test)),
        classes=list(photos.classes),
        settings=dict(k=args.k, memory=args.memory, sizes=sizes),
        figures={name: one.judgment.figures for name, one in judged.items()},
        differences=rows,
    )
    write_file(out / 'judge.json', json.dumps(content, indent=1))
    write_file(out / 'judge.txt', f'{text}\n')


def draw_pictures(
    out: Path, photos: LabeledPhotos, shown: list[int], judged: dict[str, Judged]
) -> list[str]:
    """Draw a picture for each kind of measure; their names."""
    test = [photos.test[i] for i in shown]
    first = next(iter(judged.values()))
    images = torch.stack([photo.pixels(first.test.size) for photo in test])
    grids = {name: one.test.grid for name, one in judged.items()}
    pictures = {}
    if photos.has_maps:
        truth = [photo.map(first.test.size) for photo in test]
        count = len(photos.classes)
        queries, nearest = _nearest(photos, shown, judged)
        segmented = {n: one.judgment.segmented for n, one in judged.items()}
        pictures['nearest.png'] = nearest_sheet(
            images, nearest, queries, grids, {'truth': truth, **segmented}, count
        )
        clustered = {n: one.judgment.clustered for n, one in judged.items()}
        pictures['clusters.png'] = cluster_sheet(images, truth, clustered, grids, count)
    if photos.has_boxes:
        boxes = {name: one.test.boxes[shown] for name, one in judged.items()}
        pictures['boxes.png'] = box_sheet(images, [p.boxes for p in test], boxes)
    for name, picture in pictures.items():
        with replacing(out / name) as part:
            Image.fromarray(np.ascontiguousarray(picture)).save(part)
    return list(pictures)


def _nearest(
    photos: LabeledPhotos, shown: list[int], judged: dict[str, Judged]
) -> tuple[list[int], dict[str, list[tuple[Tensor, int, float]]]]:
    """Find the nearest known patch of a patch of each shown photo, by each network."""
    first = next(iter(judged.values())).test
    asked = salient_patches(first.patches[shown]).tolist()
    rows = {}
    for name, one in judged.items():
        queries = [same_patch(patch, first.grid, one.test.grid) for patch in asked]
        wanted = one.test.patches[shown, queries]
        others, patches, cosines = nearest_patch(one.train.patches, wanted)
        rows[name] = [
            (photos.train[i].pixels(one.train.size), patch, cosine)
            for i, patch, cosine in zip(others, patches, cosines, strict=True)
        ]
    return asked, rows
