"""Check segmentation maps: one per image, same size, known class indices."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ccmim.data.paths import is_image_name, printable
from ccmim.labels.drawing import draw_classes
from ccmim.labels.maps import IGNORED, Values, read_map
from ccmim.labels.photos import is_cut, upright_size
from ccmim.labels.read import LabelError, read_text
from ccmim.labels.report import Picture, Report, some
from ccmim.labels.settings import class_names, colors, resolve_path, setting
from ccmim.progress import progress

_DAMAGED = ('cut short', 'cannot be read')
_BARE = 'maps in which all is ignored'
_BINARY = (
    'maps hold one class and 255, which training ignores: there is nothing to tell '
    'apart. If 255 is an object, write 1 instead, or set '
    'LoadAnnotations(values=[(0, 0), (255, 1)])'
)


def check_segmentation(
    dataset: Mapping[str, Any],
    kind: type,
    report: Report,
    num_pictures: int,
    with_labels: bool = True,
) -> None:
    """Check the images and maps of a split of pixel classes.

    Args:
        dataset: Config of an mmseg data set.
        kind: Its class.
        report: What is found goes here.
        num_pictures: How many of the images to prepare for the sheet.
        with_labels: Whether there must be maps, as in all but test sets.

    Raises:
        ValueError: If the config itself has no place for the data.
    """
    report.unit = 'pixels'
    classes = class_names(dataset, kind)
    palette = colors(dataset, kind, classes)
    prefix = dataset.get('data_prefix') or {}
    keys = ('img_path', 'seg_map_path')[: 1 + with_labels]
    folders = [resolve_path(dataset, prefix.get(key) or '') for key in keys]
    report.source = str(folders[-1])
    report.name_classes(classes)
    for folder, what in zip(folders, ('image', 'map'), strict=False):
        if not folder.is_dir():
            report.problem(f'{what} folder {folder} does not exist')
    suffixes = [setting(dataset, kind, k) for k in ('img_suffix', 'seg_map_suffix')]
    names = _names(dataset, folders[0], suffixes[0], report)
    if names is None or not all(folder.is_dir() for folder in folders):
        return
    report.images = len(names)
    report.files = [str(folders[0] / (name + suffixes[0])) for name in names]
    if not with_labels:
        bad = [file for file in report.files if _image_fault(Path(file))]
        report.problem('images that are missing or damaged', bad)
        return
    first = 1 if setting(dataset, kind, 'reduce_zero_label') else 0
    known = len(kind.METAINFO.get('classes') or ())
    # Classes that are left out keep their numbers in the files.
    numbers = max(len(classes), known)
    ignored = {0, IGNORED} if first else {setting(dataset, kind, 'ignore_index')}
    pairs = {
        name: (folders[0] / (name + suffixes[0]), folders[1] / (name + suffixes[1]))
        for name in names
    }
    checked = _Maps(first, numbers, {*ignored, IGNORED}, values_of(dataset))
    counts = checked.check(pairs, report)
    if numbers == len(classes):
        report.counts = dict(zip(classes, counts.tolist(), strict=True))
        none = [name for name, count in report.counts.items() if not count]
        report.note('classes without pixels', none)
    if not dataset.get('ann_file'):
        unused = sorted(set(_relative(folders[1], suffixes[1])) - set(names))
        report.note('maps without an image', unused)
    report.legend = dict(zip(classes, palette, strict=True))
    for name in names[:num_pictures]:
        read = partial(_read, pairs[name][1], values_of(dataset))
        draw = partial(draw_classes, pairs[name][0], read, first, palette)
        report.pictures.append(Picture(name, draw))


def check_batch(
    dataset: Mapping[str, Any],
    preprocessor: Mapping[str, Any],
    batch_size: int,
    report: Report,
) -> None:
    """Report photos of several sizes that nothing makes equal in a batch.

    Args:
        dataset: Config of an mmseg data set.
        preprocessor: Config of the model's: its ``size`` pads smaller photos.
        batch_size: Photos at a time.
        report: Of that data set.
    """
    steps = [str(step.get('type')) for step in dataset.get('pipeline') or ()]
    if batch_size < 2 or any(
        'Crop' in s or 'Resize' in s or 'Mosaic' in s for s in steps
    ):
        return
    sizes = sorted({upright_size(Path(f)) for f in report.files if _is_sound(f)})
    height, width = preprocessor.get('size') or (0, 0)
    if len(sizes) > 1 and any(w > width or h > height for w, h in sizes):
        report.problem(
            f'photos of {len(sizes)} sizes, from {sizes[0]} to {sizes[-1]} (width, '
            "height), cannot be stacked: add dict(type='RandomCrop', crop_size=(H, W)) "
            'to the pipeline and set model.data_preprocessor.size, or take batch_size=1'
        )


def _is_sound(file: str) -> bool:
    return _image_fault(Path(file)) is None


def values_of(dataset: Mapping[str, Any]) -> Values | None:
    """Find what a pipeline says that numbers or colors in maps stand for.

    Args:
        dataset: Config of an mmseg data set.

    Returns:
        What ``read_map`` takes.
    """
    for step in dataset.get('pipeline') or ():
        if str(step.get('type')).endswith(('LoadAnnotations', 'LoadLabelMap')):
            return step.get('values')
    return None


class _Maps:
    """Checks images with their maps, and counts the pixels of each class."""

    def __init__(
        self, first: int, numbers: int, ignored: set[int], values: Values | None
    ) -> None:
        self._first, self._last = first, first + numbers - 1
        self._ignored, self._values = ignored, values

    def check(
        self, pairs: Mapping[str, tuple[Path, Path]], report: Report
    ) -> np.ndarray:
        first, last = self._first, self._last
        counts, faults = np.zeros(last + 1 - first, int), defaultdict(list)
        bad: list[str] = []
        no_class = f'maps with numbers that are no class ({first} to {last}; 255: '
        no_class += 'ignored): add classes, or map them by LoadAnnotations(values=...)'
        total = skipped = 0
        for name, files in progress(pairs.items(), 'Checking', len(pairs), 'maps'):
            try:
                fault, values = self._look(*files)
            except LabelError as error:
                faults[str(error)].append(name)
                continue
            if fault in _DAMAGED:
                bad.append(f'{name}: {fault}')
            elif fault:
                faults[fault].append(name)
            if values is None:
                continue
            valid = (first <= values) & (values <= last)
            skipped_too = np.isin(values, list(self._ignored))
            if wrong := sorted(set(np.unique(values[~valid & ~skipped_too]).tolist())):
                faults[no_class].append(f'{name}: {some(wrong)}')
            if not valid.any():
                faults[_BARE].append(name)
            counts += np.bincount(values[valid] - first, minlength=len(counts))
            total += values.size
            skipped += int((values == IGNORED).sum())
        report.damaged(bad, len(pairs))
        if len(bare := faults.pop(_BARE, [])) < len(pairs) / 2:
            report.note(_BARE, bare)
        else:
            report.problem(_BARE, bare)
        for fault, names in faults.items():
            own = fault.startswith('map ') and len(names) == 1  # names its file
            report.problem(fault, None if own else names)
        if skipped and len(counts) > 1 and (counts > 0).sum() == 1:
            report.problem(_BINARY)
        if skipped:
            report.note(f'{skipped / total:.1%} of the pixels are ignored (255)')
        return counts

    def _look(self, image: Path, map_file: Path) -> tuple[str | None, Any]:
        """Return what is wrong with a pair of files, and read the map."""
        if fault := _image_fault(image):
            return fault, None
        if not map_file.is_file():
            return f'maps that do not exist ({_where(map_file)})', None
        values = _read(map_file, self._values).astype(int)
        if values.shape[::-1] != tuple(upright_size(image)):
            return 'maps of another size than their image', values
        if map_file.suffix.lower() in ('.jpg', '.jpeg'):
            return 'maps saved as JPEG, which changes numbers: save them as PNG', values
        return None, values


def _read(file: Path, values: Values | None) -> np.ndarray:
    return read_map(file.read_bytes(), values, str(file))


def _image_fault(image: Path) -> str | None:
    if not image.is_file():
        return f'images that do not exist ({image.parent}/*{image.suffix})'
    try:
        upright_size(image)
        return _DAMAGED[0] if is_cut(image) else None
    except (OSError, ValueError):
        return _DAMAGED[1]


def _where(map_file: Path) -> str:
    """Describe where a map should be, and what is there instead."""
    where = f'{map_file.parent}/*{map_file.suffix}'
    near = sorted(map_file.parent.glob(f'{map_file.name.partition(".")[0]}*'))
    return f'{where}; near is {printable(near[0].name)}' if near else where


def _names(
    dataset: Mapping[str, Any], folder: Path, suffix: str, report: Report
) -> list[str] | None:
    """Name the images without their suffix, None if there are none."""
    if dataset.get('ann_file'):
        file = resolve_path(dataset, dataset['ann_file'])
        if not file.is_file():
            report.problem(f'list of images {file} does not exist')
            return None
        lines = read_text(file).splitlines()
        names, where = [line.strip() for line in lines], file
    else:
        if not folder.is_dir():
            return None
        names, where = _relative(folder, suffix), f'{folder} (*{suffix})'
        others = [p for p in _relative(folder, '') if not p.endswith(suffix)]
        others = [name for name in others if is_image_name(os.path.basename(name))]
        if names:
            report.problem(
                f'images that mmseg leaves out, as it reads *{suffix} alone: rename or '
                'convert them, or move them away',
                others,
            )
    if not names:
        kinds = sorted({os.path.splitext(name)[1] for name in _relative(folder, '')})
        there = f'; there are {some(kinds)}: set img_suffix' if kinds else ''
        report.problem(f'the split is empty: no images in {where}{there}')
    twice = [name for name, count in Counter(names).items() if count > 1]
    report.problem('images that are listed more than once (list each once)', twice)
    return names or None


def _relative(folder: Path, suffix: str) -> list[str]:
    paths = [
        os.path.relpath(os.path.join(root, file), folder)
        for root, _, files in os.walk(folder)
        for file in files
        if file.endswith(suffix) and not file.startswith('.')  # ._x.png of macOS
    ]
    return sorted(name.removesuffix(suffix) for name in paths)
