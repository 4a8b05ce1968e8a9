"""Maps of classes beside images: how their folders are found."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ccmim.labels.maps import IGNORED, read_map
from ccmim.labels.photos import images_below
from ccmim.labels.read import LabelError, read_text, regular

TRAIN = ('train', 'training', 'train2017')
TEST = ('val', 'valid', 'validation', 'test', 'testing', 'val2017')
_IMAGES = ('images', 'img', 'imgs', 'leftImg8bit')
_MAPS = ('annotations', 'masks', 'labels', 'gtFine', 'maps')
_CITYSCAPES = ('_leftImg8bit.png', '_gtFine_labelTrainIds.png')


class Maps(NamedTuple):
    """Maps of classes beside images: folders of images and of maps.

    ``test`` is None without a split.
    """

    root: Path
    train: tuple[Path, Path]
    test: tuple[Path, Path] | None
    classes: tuple[str, ...]
    ignore_zero: bool
    suffixes: tuple[str, str]


def find_maps(root: Path, ignore_zero: bool) -> Maps | None:
    """Find the folders of images and of maps below a folder, if there are any.

    Args:
        root: The folder.
        ignore_zero: Whether 0 in maps is no class.

    Raises:
        LabelError: If images have no maps.
    """
    images = next((p for n in _IMAGES if (p := root / n).is_dir()), None)
    maps = next((p for n in _MAPS if (p := root / n).is_dir()), None)
    if images is None or maps is None:
        return None
    train, test = split_folder(images, TRAIN), split_folder(images, TEST)
    pair = (train or images, maps / train.name if train else maps)
    drawn_test = split_folder(maps, [test.name]) if test else None
    tests = (test, drawn_test) if drawn_test else None
    parts = [pair, tests] if tests else [pair]
    if not pair[1].is_dir():
        raise LabelError(f'{pair[0]} has images, and its maps {pair[1]} are not there')
    suffixes = _suffixes(*pair)
    zero = ignore_zero or (root / 'objectInfo150.txt').is_file()
    listed = _listed(root)
    count = 0
    if not listed:  # all: a class may be in one map alone
        for _, folder in parts:
            for file in _ending(folder, suffixes[1]):
                count = max(count, _largest(folder / file) + (not zero))
    names = listed or tuple(f'class {i}' for i in range(count))
    return Maps(root, pair, tests, names, zero, suffixes)


def _suffixes(images: Path, maps: Path) -> tuple[str, str]:
    """Find how names of images and of maps end after what they share."""
    names, drawn = images_below(images), images_below(maps)
    if not names:
        raise LabelError(f'{images} holds no images, and there are maps in {maps}')
    if any(name.endswith(_CITYSCAPES[0]) for name in names):
        if not any(name.endswith(_CITYSCAPES[1]) for name in drawn):
            raise LabelError(
                f'{maps} holds no *{_CITYSCAPES[1]}: run csCreateTrainIdLabelImgs of '
                'cityscapesscripts'
            )
        return _CITYSCAPES
    endings = Counter(os.path.splitext(name)[1] for name in names)
    ending = endings.most_common(1)[0][0]
    stems = {os.path.splitext(name)[0] for name in names if name.endswith(ending)}
    suffixes: Counter[str] = Counter()
    for name in drawn:
        stem = next((s for s in _beginnings(name) if s in stems), None)
        if stem is not None:
            suffixes[name[len(stem) :]] += 1
    if not suffixes:
        first = f'{sorted(stems)[0]}.png'
        has = f'such as {drawn[0]}' if drawn else f'holds {_kinds_in(maps)}'
        raise LabelError(
            f'{images / names[0]} has no map {maps / first} ({has}): images and maps '
            'must have the same names'
        )
    # PNG first: a folder may hold pictures for people as well.
    best = max(suffixes, key=lambda s: (s.endswith('.png'), suffixes[s], -len(s)))
    return ending, best


def _beginnings(name: str) -> Iterator[str]:
    yield from (name[:i] for i in range(len(name) - 1, 0, -1))


def _kinds_in(folder: Path) -> str:
    kinds = Counter(p.suffix or p.name for p in folder.rglob('*') if p.is_file())
    return ', '.join(f'{n} {kind}' for kind, n in kinds.most_common(3)) or 'nothing'


def _largest(file: Path) -> int:
    """The largest number in a map of classes."""
    values = read_map(regular(file).read_bytes(), None, str(file))
    return int(values[values != IGNORED].max(initial=0))


def _ending(folder: Path, suffix: str) -> list[str]:
    return [name for name in images_below(folder) if name.endswith(suffix)]


def _listed(root: Path) -> tuple[str, ...]:
    file = root / 'classes.txt'
    lines = read_text(file).split('\n') if file.is_file() else []
    return tuple(line.strip() for line in lines if line.strip())


def split_folder(root: Path, names: Sequence[str]) -> Path | None:
    """Return the first folder of these names that is there."""
    return next((p for name in names if (p := root / name).is_dir()), None)
