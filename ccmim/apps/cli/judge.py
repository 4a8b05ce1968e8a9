"""``ccmim judge``: compare frozen dense features of several weights."""

import json
import time
from argparse import Namespace
from collections import Counter
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.device import get_device
from PIL import Image
from torch import Tensor

from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.probing import most_pixels, weights_from_args
from ccmim.apps.cli.quiet import no_messages
from ccmim.checkpoints import Architecture, Weights, network_of
from ccmim.data.image import require_rgb
from ccmim.evaluation.dense_features import (
    DenseFeatures,
    compute_dense,
    digest_of_photos,
    digest_of_weights,
    kept_dense,
)
from ccmim.evaluation.judging import MEASURES, Judgment, judge
from ccmim.evaluation.labeled_photos import LabeledPhotos, open_photos
from ccmim.evaluation.resampling import difference_range
from ccmim.files import replacing, say, write_file
from ccmim.labels.cut import spread
from ccmim.labels.judge import require_good
from ccmim.labels.layouts import describe, find_labels
from ccmim.pictures.judged import (
    box_sheet,
    cluster_sheet,
    nearest_patch,
    nearest_sheet,
    same_patch,
)
from ccmim.pictures.patch_neighbors import salient_patches
from ccmim.precision import Precision, precision_of
from ccmim.vit import VisionTransformer

_SHOWN = 6  # photos in a picture
RANDOM = 'random'


class Judged(NamedTuple):
    """A network, what it makes of the photos, and what that is worth."""

    train: DenseFeatures
    test: DenseFeatures
    judgment: Judgment


def run(args: Namespace) -> int:
    """Judge, and write and print the table."""
    started = time.perf_counter()
    if len(args.image_size or ()) > 2:
        raise Mistake('--image-size takes a side, or height and width', 'such as 224')
    if twice := [w for w, n in Counter(args.weights).items() if n > 1]:
        raise Mistake(f'{twice[0]} is given twice', 'name each of the weights once')
    data = find_labels(args.data.expanduser(), args.ignore_zero)
    photos = open_photos(data, args.images)
    _check(photos, args)
    require_good(data)
    say(f'{data.root.name}: {describe(data).rpartition(":")[0]}')
    weights = _read(args)
    most = most_pixels([photo.path for photo in photos.train])
    sizes = _sizes(weights, args.image_size, most)
    _check_patches(photos, weights, sizes, args)
    out = (args.out or Path('work_dirs') / f'judge_{data.root.name}').absolute()
    shown = spread(range(len(photos.test)), _SHOWN)
    judged = {}
    for name, one in weights.items():
        train, test = _features(one, photos, sizes[name], out / 'features', args.dtype)
        judgment = judge(photos, train, test, args.k, args.memory, shown)
        judged[name] = Judged(train, test, judgment)
    rows = _differences(judged)
    text = _table(judged, rows)
    print(f'\n{text}', flush=True)
    _write(out, text, photos, sizes, judged, rows, args)
    files = _draw(out, photos, shown, judged)
    seconds = time.perf_counter() - started
    say('', f'{", ".join([*files, "judge.json"])} in {out} ({seconds:.0f} s)')
    return 0


def _check(photos: LabeledPhotos, args: Namespace) -> None:
    """Refuse what labels alone tell."""
    if len(photos.classes) < 2:
        raise Mistake(
            f'{args.data} has one class only, {photos.classes[0]}',
            'nothing can be told apart: give data of two classes or more',
        )
    if len(photos.train) < 1 or len(photos.test) < 2:
        raise Mistake(
            f'{args.data} has {len(photos.train)} photos to learn from and '
            f'{len(photos.test)} to judge by',
            'there must be at least 1 and 2',
        )


def _read(args: Namespace) -> dict[str, Weights]:
    """Read the weights; their short names are unlike each other."""
    weights_of: dict[str, Weights] = {}
    digests: dict[bytes, str] = {}
    for name, path in zip(_short(args.weights), args.weights, strict=True):
        weights = weights_from_args(path, args)
        require_rgb(weights.architecture.in_chans, path)
        known = digests.setdefault(digest_of_weights(weights), path)
        if known != path:
            raise Mistake(f'{known} and {path} are the same weights', 'leave one out')
        weights_of[name] = weights
    if args.random:
        first = next(iter(weights_of.values()))
        with no_messages(), torch.random.fork_rng():
            torch.manual_seed(0)
            network = VisionTransformer(**first.architecture.options())
        weights_of[RANDOM] = Weights(
            network.state_dict(), first.architecture, [], first.pixels
        )
    return weights_of


def _short(paths: list[str]) -> list[str]:
    """Name weights by the end of their paths, as much of it as tells them apart."""
    parts = [Path(path).with_suffix('').parts for path in paths]
    for count in range(1, max(map(len, parts)) + 1):
        names = ['/'.join(part[-count:]) for part in parts]
        if len({*names, RANDOM}) > len(names):
            return names
    return paths


def _sizes(
    weights: dict[str, Weights], asked: list[int] | None, most: int
) -> dict[str, tuple[int, int]]:
    """Choose height and width for each network: those asked for, or one side for all.

    Without a wish it is the largest that weights are for, ``most`` at most, less what
    is no whole patch.
    """
    kinds = {name: one.architecture for name, one in weights.items()}
    if asked:
        size = asked[0], asked[-1]
        for name, kind in kinds.items():
            if any(side % kind.patch_size for side in size):
                patch = kind.patch_size
                near = [max(1, round(side / patch)) * patch for side in asked]
                raise Mistake(
                    f'--image-size {" ".join(map(str, asked))} must be multiples of '
                    f'{patch}, the side of the patches of {name}',
                    f'for instance --image-size {" ".join(map(str, near))}',
                )
        return dict.fromkeys(kinds, size)
    side = min(most, max(map(_longest, kinds.values())))
    sides = {n: max(1, side // k.patch_size) * k.patch_size for n, k in kinds.items()}
    return {name: (own, own) for name, own in sides.items()}


def _longest(kind: Architecture) -> int:
    own = kind.img_size
    return own if isinstance(own, int) else max(own)


def _check_patches(
    photos: LabeledPhotos,
    weights: dict[str, Weights],
    sizes: dict[str, tuple[int, int]],
    args: Namespace,
) -> None:
    if not photos.has_maps:
        return
    for name, one in weights.items():
        height, width = (s // one.architecture.patch_size for s in sizes[name])
        count = min(args.memory, len(photos.train) * height * width)
        if count < args.k:
            raise Mistake(
                f'{name} remembers {count} patches of {len(photos.train)} photos: '
                f'fewer than --k {args.k} neighbors',
                'give a smaller --k, a larger --image-size or more photos',
            )
        if len(photos.test) * height * width < len(photos.classes):
            raise Mistake(
                f'{len(photos.test)} photos of {height} x {width} patches cannot fill '
                f'{len(photos.classes)} clusters, one for each class',
                'give a larger --image-size or more photos',
            )


def _features(
    weights: Weights,
    photos: LabeledPhotos,
    size: tuple[int, int],
    folder: Path,
    dtype: Precision,
) -> list[DenseFeatures]:
    """Compute features of both splits, or read those that were kept."""
    device = get_device()
    dtype = precision_of(dtype, device)
    own = digest_of_weights(weights) + dtype.encode() * (dtype != 'float32')
    networks: list[VisionTransformer] = []

    def compute(part: list) -> DenseFeatures:
        if not networks:
            with no_messages():
                networks.append(network_of(weights, list(size)).to(device))
        mean, std = (
            torch.tensor(value).view(-1, 1, 1).to(device) for value in weights.pixels
        )
        return compute_dense(
            networks[0], part, size, lambda x: (x - mean) / std, dtype=dtype
        )

    return [
        kept_dense(folder, own + digest_of_photos(part, size), partial(compute, part))
        for part in (photos.train, photos.test)
    ]


def _differences(judged: dict[str, Judged]) -> dict[str, dict[str, list[float]]]:
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


def _table(judged: dict[str, Judged], rows: dict[str, dict[str, list[float]]]) -> str:
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


def _write(
    out: Path,
    text: str,
    photos: LabeledPhotos,
    sizes: dict[str, tuple[int, int]],
    judged: dict[str, Judged],
    rows: dict[str, dict[str, list[float]]],
    args: Namespace,
) -> None:
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


def _draw(
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
