"""What kind of labelled data a folder holds, and where its parts are."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from ccmim.apps.cli.mistakes import Mistake
from ccmim.data.paths import is_image_name

TRAIN = ('train', 'training', 'train2017')
TEST = ('val', 'valid', 'validation', 'test', 'testing', 'val2017')
_MAPS = ('annotations', 'masks', 'labels', 'gtFine')
_IGNORED = 255  # no class, in mmseg's maps
_KNOWN = 'ccmim transfer --help shows the layouts that are known'


class Classes(NamedTuple):
    """Images in a folder for each class; ``test`` is None without a split."""

    root: Path
    train: Path
    test: Path | None


class Instances(NamedTuple):
    """Boxes and masks in COCO's format: annotation file and folder of images.

    ``test`` is None without a split.
    """

    root: Path
    train: tuple[Path, Path]
    test: tuple[Path, Path] | None
    classes: tuple[str, ...]


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


Labelled: TypeAlias = Classes | Instances | Maps


def find_labels(root: Path, ignore_zero: bool = False) -> Labelled:
    """Find out what a folder holds.

    Args:
        root: The folder.
        ignore_zero: Whether 0 in maps is no class.

    Returns:
        The kind, and where its parts are.

    Raises:
        Mistake: If there is no such folder, or nothing known in it.
    """
    if not root.is_dir():
        raise Mistake(f'there is no folder {root}', 'give --data a folder with labels')
    root = root.absolute()
    found = (
        _find_instances(root) or _find_maps(root, ignore_zero) or _find_classes(root)
    )
    if found is None:
        raise Mistake(f'{root} holds no labels of a known layout', _KNOWN)
    return found


def _find_instances(root: Path) -> Instances | None:
    files = sorted(
        p for d in ('.', 'annotations', '*') for p in root.glob(f'{d}/*.json')
    )
    pairs, names = [], ()
    for file in dict.fromkeys(p.resolve() for p in files):
        content = _read_coco(file)
        if content is None:
            continue
        folder = _folder_of(file, root, content['images'][0]['file_name'])
        if folder is None:
            continue
        pairs.append((file, folder))
        names = names or tuple(c['name'] for c in content['categories'])
    if not pairs:
        return None
    train = next((p for p in pairs if _is(p, 'train')), pairs[0])
    tests = [p for p in pairs if p != train and _is(p, 'val', 'test')]
    return Instances(root, train, tests[0] if tests else None, names)


def _is(pair: tuple[Path, Path], *words: str) -> bool:
    text = f'{pair[0].stem} {pair[0].parent.name}'.lower()
    return any(word in text for word in words)


def _read_coco(file: Path) -> dict | None:
    """The content of a file with masks of instances, None if it is another one."""
    try:
        content = json.loads(file.read_bytes())
        annotation = content['annotations'][0]
        known = content['categories'] and content['images'][0]['file_name']
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    if not known or 'bbox' not in annotation:
        return None
    if not annotation.get('segmentation'):
        raise Mistake(
            f'{file} has boxes without masks',
            'Mask R-CNN learns masks: add segmentation',
        )
    return content


def _folder_of(file: Path, root: Path, name: str) -> Path | None:
    split = file.stem.removeprefix('instances_').removeprefix('_annotations.coco')
    folders = (
        root / split,
        root / 'images' / split,
        file.parent,
        root / 'images',
        root,
    )
    return next((f for f in folders if (f / name).is_file()), None)


def _find_maps(root: Path, ignore_zero: bool) -> Maps | None:
    images = next((p for n in ('images', 'img') if (p := root / n).is_dir()), None)
    maps = next((p for n in _MAPS if (p := root / n).is_dir()), None)
    if images is None or maps is None:
        return None
    train, test = _split(images, TRAIN), _split(images, TEST)
    pair = (train or images, maps / train.name if train else maps)
    drawn_test = _split(maps, [test.name]) if test else None
    tests = (test, drawn_test) if drawn_test else None
    parts = [pair, tests] if tests else [pair]
    drawn = [p for _, f in parts for p in _images_in(f) if p.suffix == '.png']
    first = next(_images_in(pair[0]), None)
    if first is None or not drawn:
        return None
    if not (pair[1] / f'{first.stem}.png').is_file():
        raise Mistake(
            f'{first} has no map {pair[1] / first.stem}.png',
            'images and maps must have the same names',
        )
    counts = Counter(p.suffix for folder, _ in parts for p in _images_in(folder))
    if len(counts) > 1:
        found = ', '.join(f'{n} {suffix}' for suffix, n in counts.most_common())
        raise Mistake(
            f'{images} holds images of several suffixes: {found}',
            'mmseg reads those of one suffix: convert or rename the others',
        )
    zero = ignore_zero or (root / 'objectInfo150.txt').is_file()
    with ThreadPoolExecutor() as threads:  # all: a class may be in one map alone
        names = _names_of(root, max(threads.map(_largest, drawn)) + (not zero))
    return Maps(root, pair, tests, names, zero, (first.suffix, '.png'))


def _largest(file: Path) -> int:
    """The largest number in a map of classes."""
    with Image.open(file) as picture:
        if picture.mode not in ('L', 'P', 'I;16', 'I', '1'):
            raise Mistake(
                f'{file} is a picture in colours ({picture.mode})',
                'maps hold the number of a class in each pixel: convert them',
            )
        values = np.asarray(picture)
    return int(values[values != _IGNORED].max(initial=0))


def _names_of(root: Path, count: int) -> tuple[str, ...]:
    listed = root / 'classes.txt'
    names = listed.read_text().split('\n') if listed.is_file() else []
    names = [name.strip() for name in names if name.strip()]
    return tuple(names) or tuple(f'class {i}' for i in range(count))


def _find_classes(root: Path) -> Classes | None:
    train, test = _split(root, TRAIN), _split(root, TEST)
    if train and test and _class_folders(train):
        return Classes(root, train, test)
    place = train or root
    return Classes(root, place, None) if len(_class_folders(place)) > 1 else None


def _class_folders(root: Path) -> list[Path]:
    folders = [p for p in root.iterdir() if p.is_dir() and p.name[0] != '.']
    return [f for f in folders if next(_images_in(f), None) is not None]


def _split(root: Path, names: Sequence[str]) -> Path | None:
    return next((p for name in names if (p := root / name).is_dir()), None)


def _images_in(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from (Path(e.path) for e in entries if is_image_name(e.name))
