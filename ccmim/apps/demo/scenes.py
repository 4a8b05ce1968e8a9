"""Synthetic scenes: a small dataset for detection and segmentation.

Written in the layouts that COCO and ADE20K users have, so the same configs read it.
Each image is a function of (seed, split, index) and nothing else.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge
from PIL import Image
from tqdm import tqdm

from ccmim.apps.demo.painting import CATEGORIES, Scene, paint_scene
from ccmim.apps.demo.textures import BACKGROUNDS
from ccmim.ranges import Index, in_ranges

__all__ = ['CATEGORIES', 'PALETTE', 'SEG_CLASSES', 'toy_scene', 'write_toy_scenes']

SEG_CLASSES = (*CATEGORIES, *BACKGROUNDS)
"""Class ``i`` has value ``i + 1`` in the class maps; 0 is unlabeled."""

PALETTE = (
    (230, 25, 75),
    (255, 225, 25),
    (0, 210, 170),
    (145, 70, 240),
    (60, 110, 40),
    (150, 130, 90),
    (150, 185, 200),
    (100, 65, 40),
)
"""One RGB color a class, in the order of ``SEG_CLASSES``."""

_SPLITS = ('training', 'validation', 'unlabelled')
_MARKER = 'toy_scenes.json'
_CONTENTS = {_MARKER, 'images', 'annotations', 'unlabelled'}
_VERSION = 2  # of the scenes: raise it when what is painted changes


@in_ranges
def toy_scene(
    seed: int, split: str, index: Index, size: Annotated[int, Ge(32)] = 128
) -> Scene:
    """Paint one scene of a split.

    Args:
        seed: Seed of the data set, not negative.
        split: ``training``, ``validation`` or ``unlabelled``.
        index: Number of the scene in its split.
        size: Height and width in pixels, 32 or more.

    Returns:
        The scene.

    Raises:
        ValueError: The size is too small for the objects to be seen.
    """
    words = (seed, _SPLITS.index(split), index, _VERSION)
    return paint_scene(size, np.random.default_rng(np.random.SeedSequence(words)))


def write_toy_scenes(
    root: str | os.PathLike,
    num_train: int,
    num_val: int,
    size: int = 128,
    seed: int = 0,
    num_unlabeled: int = 0,
) -> Path:
    """Write the data set, or return at once when it is there already.

    ``images/{training,validation}/*.jpg`` and ``annotations/{training,validation}/
    *.png`` have the layout of ADE20K (0 is unlabeled); ``annotations/instances_
    {training,validation}.json`` are COCO instances of the visible parts, with the
    category ids of the maps; ``unlabelled/*.jpg`` are more images without annotations.
    The folder appears when all is written: one of other settings is replaced, an
    interrupted run leaves what was there.

    Args:
        root: Folder to write: new, empty or written by this function.
        num_train: Number of training scenes.
        num_val: Number of validation scenes.
        size: Height and width in pixels, 32 or more.
        seed: Seed of the data set, not negative.
        num_unlabeled: Number of images without annotations.

    Returns:
        The folder.

    Raises:
        FileExistsError: The folder holds something else.
    """
    root = Path(root).absolute()
    counts = dict(zip(_SPLITS, (num_train, num_val, num_unlabeled), strict=True))
    settings = dict(version=_VERSION, seed=seed, size=size, **counts)
    present = set(os.listdir(root)) if root.exists() else set()
    if present and (_MARKER not in present or present - _CONTENTS):
        raise FileExistsError(f'{root} holds other files: choose a new folder')
    if present and json.loads((root / _MARKER).read_text()) == settings:
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as work:
        fresh = Path(work, 'fresh')
        for split in ('training', 'validation'):
            _write_annotated(fresh, split, _scenes(seed, split, counts[split], size))
        (fresh / 'unlabelled').mkdir()
        for name, scene in _scenes(seed, 'unlabelled', num_unlabeled, size):
            _save_photo(scene.image, fresh / 'unlabelled' / f'{name}.jpg')
        (fresh / _MARKER).write_text(json.dumps(settings))
        if root.exists():
            root.rename(Path(work, 'old'))
        fresh.rename(root)
    return root


def _scenes(
    seed: int, split: str, count: int, size: int
) -> Iterator[tuple[str, Scene]]:
    for index in tqdm(range(count), f'Generating {split}', disable=None, leave=False):
        yield f'{split}_{index:06d}', toy_scene(seed, split, index, size)


def _write_annotated(
    root: Path, split: str, scenes: Iterator[tuple[str, Scene]]
) -> None:
    (root / 'images' / split).mkdir(parents=True)
    (root / 'annotations' / split).mkdir(parents=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for name, scene in scenes:
        _save_photo(scene.image, root / 'images' / split / f'{name}.jpg')
        classes = Image.fromarray(scene.classes)
        classes.save(root / 'annotations' / split / f'{name}.png')
        height, width = scene.classes.shape
        image_id = len(images) + 1
        images.append(
            dict(id=image_id, file_name=f'{name}.jpg', height=height, width=width)
        )
        for category, mask in scene.objects:
            ids = dict(id=len(annotations) + 1, image_id=image_id)
            annotations.append({**ids, **_coco_object(category, mask)})
    categories = [
        dict(id=number, name=name, supercategory=name.split('_')[1])
        for number, name in enumerate(CATEGORIES, 1)
    ]
    instances = dict(images=images, annotations=annotations, categories=categories)
    path = root / 'annotations' / f'instances_{split}.json'
    path.write_text(json.dumps(instances))


def _coco_object(category: int, mask: np.ndarray) -> dict:
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    return dict(
        category_id=category + 1,
        bbox=[left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top],
        area=int(mask.sum()),
        segmentation=dict(size=list(mask.shape), counts=_run_lengths(mask)),
        iscrowd=0,
    )


def _run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's plain RLE: lengths of runs down the columns, the first of zeros."""
    pixels = np.concatenate([[False], mask.T.ravel()])
    starts = np.flatnonzero(pixels[1:] != pixels[:-1])
    return np.diff([0, *starts, mask.size]).tolist()


def _save_photo(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image).save(path, quality=92)
