"""Maps of classes: does each image have one, of its size, with known numbers?"""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from ccmim.apps.dataset_check.drawing import draw_classes
from ccmim.apps.dataset_check.files import upright_size
from ccmim.apps.dataset_check.report import Picture, Report, some
from ccmim.apps.dataset_check.settings import class_names, colours, place
from ccmim.engine.settings.names import default_of

_IGNORED = 255


def check_segmentation(
    dataset: Mapping[str, Any], kind: type, report: Report, num_pictures: int
) -> None:
    """Check the images and maps of a split of pixel classes.

    Args:
        dataset: Config of an mmseg data set.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many of the images to prepare for the sheet.

    Raises:
        ValueError: If the config itself has no place for the data.
    """
    report.unit = 'pixels'
    classes = class_names(dataset, kind)
    palette = colours(dataset, kind, classes, report)
    prefix = dataset.get('data_prefix') or {}
    keys = 'img_path', 'seg_map_path'
    folders = [place(dataset, prefix.get(key) or '') for key in keys]
    for folder, what in zip(folders, ('image', 'map'), strict=True):
        if not folder.is_dir():
            report.problem(f'{what} folder {folder} does not exist')
    suffixes = [_setting(dataset, kind, k) for k in ('img_suffix', 'seg_map_suffix')]
    names = _names(dataset, folders[0], suffixes[0], report)
    if names is None or not folders[1].is_dir():
        return
    report.images = len(names)
    first = 1 if _setting(dataset, kind, 'reduce_zero_label') else 0
    numbers = max(len(classes), len(kind.METAINFO.get('classes') or ()))
    ignored = {0, _IGNORED} if first else {_setting(dataset, kind, 'ignore_index')}
    pairs = {
        name: (folders[0] / (name + suffixes[0]), folders[1] / (name + suffixes[1]))
        for name in names
    }
    counts = _check_maps(pairs, first, numbers, ignored | {_IGNORED}, report)
    if numbers == len(classes):
        report.counts = dict(zip(classes, counts.tolist(), strict=True))
        none = [name for name, count in report.counts.items() if not count]
        report.note('classes without pixels', none)
    _note_unused(folders[1], suffixes[1], names, bool(dataset.get('ann_file')), report)
    report.legend = dict(zip(classes, palette, strict=True))
    for name in names[:num_pictures]:
        draw = partial(draw_classes, *pairs[name], first, palette)
        report.pictures.append(Picture(name, draw))


def _check_maps(
    pairs: Mapping[str, tuple[Path, Path]],
    first: int,
    numbers: int,
    ignored: set[int],
    report: Report,
) -> np.ndarray:
    """Check images with their maps, and count the pixels of each class."""
    last = first + numbers - 1
    no_class = f'maps with numbers that are no class ({first} to {last}; 255: ignored)'
    counts, found = np.zeros(numbers, int), defaultdict(list)
    for name, files in tqdm(pairs.items(), desc='maps', leave=False, disable=None):
        fault, values = _look(*files)
        if fault:
            found[fault].append(name)
        if values is None:
            continue
        valid = (first <= values) & (values <= last)
        wrong = sorted(set(np.unique(values[~valid]).tolist()) - ignored)
        if wrong:
            found[no_class].append(f'{name}: {some(wrong)}')
        if not valid.any():
            found['maps in which all is ignored'].append(name)
        counts += np.bincount(values[valid] - first, minlength=numbers)
    for fault, names in found.items():
        report.problem(fault, names)
    return counts


def _names(
    dataset: Mapping[str, Any], folder: Path, suffix: str, report: Report
) -> list[str] | None:
    """Name the images without their suffix, None if there are none."""
    if dataset.get('ann_file'):
        file = place(dataset, dataset['ann_file'])
        if not file.is_file():
            report.problem(f'list of images {file} does not exist')
            return None
        names, where = [line.strip() for line in file.read_text().splitlines()], file
    else:
        if not folder.is_dir():
            return None
        names, where = _relative(folder, suffix), f'{folder} (*{suffix})'
    if not names:
        report.problem(f'the split is empty: no images in {where}')
    twice = [name for name, count in Counter(names).items() if count > 1]
    report.problem('images that are listed more than once', twice)
    return names or None


def _relative(folder: Path, suffix: str) -> list[str]:
    found = [
        os.path.relpath(os.path.join(root, file), folder)
        for root, _, files in os.walk(folder)
        for file in files
        if file.endswith(suffix)
    ]
    return sorted(name.removesuffix(suffix) for name in found)


def _look(image: Path, map_file: Path) -> tuple[str | None, np.ndarray | None]:
    """Tell what is wrong with a pair of files, and read the map."""
    for file, what in ((image, 'images'), (map_file, 'maps')):
        if not file.is_file():
            return f'{what} that do not exist ({file.parent}/*{file.suffix})', None
    try:
        size = upright_size(image)
    except (OSError, ValueError):
        return 'images that cannot be read', None
    try:
        with Image.open(map_file) as opened:
            values = np.asarray(opened).astype(int)
    except (OSError, ValueError):
        return 'maps that cannot be read', None
    if values.ndim != 2:
        return 'maps of colours: they must hold a class number for each pixel', None
    if values.shape[::-1] != tuple(size):
        return 'maps of another size than their image', values
    return None, values


def _note_unused(
    folder: Path, suffix: str, names: list[str], listed: bool, report: Report
) -> None:
    if not listed:
        unused = sorted(set(_relative(folder, suffix)) - set(names))
        report.note('maps without an image', unused)


def _setting(dataset: Mapping[str, Any], kind: type, name: str) -> Any:
    return dataset[name] if name in dataset else default_of(kind, name)
