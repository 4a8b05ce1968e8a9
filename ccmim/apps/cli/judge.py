"""``ccmim judge``: compare frozen dense features of several weights."""

import time
from argparse import Namespace
from collections import Counter
from functools import partial
from pathlib import Path

import torch
from mmengine.device import get_device

from ccmim.apps.cli.judge_report import (
    Judged,
    draw_pictures,
    find_differences,
    format_table,
    write_judgment,
)
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
from ccmim.evaluation.kept_judgment import kept_judgment
from ccmim.evaluation.labeled_photos import LabeledPhotos, open_photos
from ccmim.files import say
from ccmim.labels.cut import spread
from ccmim.labels.judge import require_good
from ccmim.labels.layouts import describe, find_labels
from ccmim.precision import Precision, precision_of
from ccmim.vit import VisionTransformer

_SHOWN = 6  # photos in a picture
RANDOM = 'random'


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
        kept = out / 'judgments'
        judgment = kept_judgment(kept, photos, train, test, args.k, args.memory, shown)
        judged[name] = Judged(train, test, judgment)
    rows = find_differences(judged)
    text = format_table(judged, rows)
    print(f'\n{text}', flush=True)
    write_judgment(out, text, photos, sizes, judged, rows, args)
    files = draw_pictures(out, photos, shown, judged)
    seconds = time.perf_counter() - started
    say('', f'{", ".join([*files, "judge.json"])} in {out} ({seconds:.0f} s)')
    return 0


def _check(photos: LabeledPhotos, args: Namespace) -> None:
    """Refuse data with too few classes or photos."""
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
