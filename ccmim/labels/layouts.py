"""Detect the label format of a folder, and find its parts."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ccmim.data.folders import data_folders
from ccmim.data.paths import WORK_DIRS, is_image_name
from ccmim.labels.coco_file import kind_of
from ccmim.labels.convert import images_of, read_objects
from ccmim.labels.cvat import is_cvat
from ccmim.labels.map_folders import TEST, TRAIN, Maps, find_maps, split_folder
from ccmim.labels.photos import find_photo
from ccmim.labels.read import LabelError, read_json
from ccmim.labels.report import number_of


class NoLabelsError(LabelError):
    """A folder has no labels at all; it may hold photos."""


class Classes(NamedTuple):
    """Images in a folder for each class; ``test`` is None without a split."""

    root: Path
    train: Path
    test: Path | None


class Instances(NamedTuple):
    """Boxes, and masks if there are any: what ``read_objects`` takes, and the images.

    ``test`` is None without a split.
    """

    root: Path
    train: tuple[Path, Path]
    test: tuple[Path, Path] | None
    classes: tuple[str, ...]
    with_masks: bool = True


Labeled: TypeAlias = Classes | Instances | Maps


def find_labels(root: Path, ignore_zero: bool = False) -> Labeled:
    """Find out what a folder holds.

    Files that look like annotations are annotations or an error: nothing falls through
    to a weaker guess.

    Args:
        root: The folder.
        ignore_zero: Whether 0 in maps is no class.

    Returns:
        The kind, and where its parts are.

    Raises:
        NoLabelsError: If there are no labels in it.
        LabelError: If there is no such folder, or labels that cannot be taken.
    """
    if not root.is_dir():
        raise LabelError(f'there is no folder {root}: give one with labels')
    root = root.absolute()
    labeled = _find_objects(root) or find_maps(root, ignore_zero) or _find_classes(root)
    if labeled is None:
        raise NoLabelsError(
            f'{root} holds no labels of a known layout: ccmim transfer --help shows '
            'those that are known'
        )
    return labeled


def describe(data: Labeled, heads: Sequence[str] = ('',), folds: int = 0) -> str:
    """Describe labeled data and what is done with them in a line.

    Args:
        data: The data.
        heads: What learns objects or maps: '' for what is usual, 'eomt'.
        folds: In how many parts data without a split are tested.
    """
    kept = f'tested in {folds} folds' if folds else 'every fifth image is for testing'
    split = '' if data.test else f', no split: {kept}'
    if isinstance(data, Classes):
        return f'class folders: k-NN and linear probe{split}'
    if isinstance(data, Maps):
        kind, model = 'maps of classes', 'UperNet'
    elif data.with_masks:
        kind, model = 'masks of instances', 'Mask R-CNN'
    else:
        kind, model = 'boxes', 'Faster R-CNN'
    classes = number_of(len(data.classes), 'class', 'classes')
    models = ' and '.join('EoMT' if head else model for head in heads)
    return f'{kind}, {classes}: {models}{split}'


def _find_objects(root: Path) -> Instances | None:
    pairs = _coco_pairs(root) or _other_pairs(root)
    if not pairs:
        return None
    train = next((p for p in pairs if _is(p, 'train')), pairs[0])
    tests = [p for p in pairs if p != train and _is(p, 'val')]
    tests += [p for p in pairs if p != train and _is(p, 'test')]
    tests = [pair for pair in tests if _has_labels(pair)]
    content = read_objects(train[0]).content
    # In the order of the file; a name that is there twice is reported by the check.
    names = tuple(dict.fromkeys(c['name'] for c in content['categories']))
    with_masks = any(one.get('segmentation') for one in content['annotations'])
    return Instances(root, train, tests[0] if tests else None, names, with_masks)


def _is(pair: tuple[Path, Path], word: str) -> bool:
    return any(word in part.lower() for part in (pair[0].stem, *pair[0].parts[-3:-1]))


def _has_labels(pair: tuple[Path, Path]) -> bool:
    """Whether there is something to test with: the test sets of COCO are bare."""
    return bool(read_objects(pair[0], with_labels=False).content['annotations'])


def _coco_pairs(root: Path) -> list[tuple[Path, Path]]:
    """Annotation files in COCO's format with their images."""
    files = sorted(p for d in ('.', '*') for p in root.glob(f'{d}/*.json'))
    files = [p for p in dict.fromkeys(files) if not _hidden(p, root)]
    coco, others = [], []
    for file in files:
        content, _ = read_json(file)
        kind = kind_of(content)
        if kind == 'coco':
            coco.append((file, content))
        elif kind not in ('other', 'captions', 'labelme'):
            others.append((file, f'annotation file {file} holds {kind}'))
        elif kind == 'other' and file.parent.name == 'annotations':
            text = f'{file} is not in the format of COCO: it must have images, '
            others.append((file, f'{text}annotations and categories'))
    for file, text in others:
        # COCO's download has panoptic segments and keypoints beside the instances.
        if not any(_split_of(file) in ('', _split_of(known)) for known, _ in coco):
            raise LabelError(text)
    # The download of COCO has the same photos twice, with keypoints too.
    plain = [pair for pair in coco if not pair[0].stem.startswith('person_keypoints')]
    return [(f, _folder_of(f, root, content)) for f, content in plain or coco]


def _split_of(file: Path) -> str:
    return next((word for word in ('train', 'val', 'test') if word in file.stem), '')


def _folder_of(file: Path, root: Path, content: Any) -> Path:
    """Choose the folder in which most of the images are."""
    split = file.stem.removeprefix('instances_').removesuffix('_annotations.coco')
    named = (split, f'images/{split}', f'{split}/images', f'data/{split}')
    folders = [root / name for name in named]
    folders += [file.parent, file.parent / 'images', root / 'images', root]
    folders += [p for p in sorted(root.iterdir()) if p.is_dir() and p.name[0] != '.']
    images = content['images'] if isinstance(content['images'], list) else []
    names = [i.get('file_name') for i in images if isinstance(i, dict)]
    names = [name for name in names if isinstance(name, str)]

    def hits(folder: Path) -> int:
        return sum(os.path.isfile(find_photo(folder, name)) for name in names)

    folders = [f for f in dict.fromkeys(folders) if f.is_dir()]
    best = max(folders, key=hits)
    # Where none fits, the check names what is missing.
    return best if hits(best) else next(f for f in folders if f != file.parent)


def _other_pairs(root: Path) -> list[tuple[Path, Path]]:
    """Labels of Pascal VOC, CVAT, YOLO or LabelMe with their images."""
    sets = sorted(root.glob('ImageSets/Main/*.txt'))
    sets = [p for p in sets if p.stem in TRAIN + TEST]
    if (root / 'Annotations').is_dir() and sets:
        return [(p, images_of(p)) for p in sets]
    files = sorted(p for p in root.rglob('*.xml') if not _hidden(p, root))
    pairs = [(file, images_of(file)) for file in files if is_cvat(file)]
    if pairs:
        return pairs
    for suffix in ('xml', 'json', 'txt'):
        folders = {p.parent for p in root.rglob(f'*.{suffix}') if not _hidden(p, root)}
        if suffix == 'txt':
            folders = {f for f in folders if _is_yolo(f, root)}
        for folder in sorted(folders):
            if suffix == 'json' and not _is_labelme(folder):
                continue
            pairs.append((folder, images_of(folder)))
        if pairs:
            return pairs
    return []


def _is_yolo(folder: Path, root: Path) -> bool:
    """Whether it is named so, or has a text beside each of its photos."""
    photos = {p.stem for p in _images_in(folder)}
    texts = {p.stem for p in folder.glob('*.txt')} - {'classes'}
    beside = bool(photos) and photos <= texts
    return 'labels' in folder.relative_to(root).parts or beside


def _is_labelme(folder: Path) -> bool:
    files = [p for p in folder.glob('*.json') if p.name[0] != '.']
    return all(kind_of(read_json(p)[0]) == 'labelme' for p in files)


def _hidden(file: Path, root: Path) -> bool:
    parts = file.relative_to(root).parts
    return any(part[0] == '.' or part == WORK_DIRS for part in parts)


def _find_classes(root: Path) -> Classes | None:
    train, test = split_folder(root, TRAIN), split_folder(root, TEST)
    if train and test and _class_folders(train):
        return Classes(root, train, test)
    folder = train or root
    return Classes(root, folder, None) if len(_class_folders(folder)) > 1 else None


def _class_folders(root: Path) -> list[Path]:
    folders = [root / name for name in data_folders(root)]
    return [f for f in folders if next(_images_in(f), None) is not None]


def _images_in(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        yield from (Path(e.path) for e in entries if is_image_name(e.name))
