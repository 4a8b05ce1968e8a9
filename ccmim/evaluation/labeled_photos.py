"""Iterate over labeled photos of any label format.

H W the size at which photos are looked at.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from os.path import abspath
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ccmim.classification.labels import FolderLabels
from ccmim.data.bad_files import reason_of
from ccmim.data.image import BadImageError, decode_image
from ccmim.data.paths import printable
from ccmim.labels.convert import read_objects
from ccmim.labels.cut import is_test, spread
from ccmim.labels.drawing import draw_mask
from ccmim.labels.layouts import Classes, Instances, Labeled
from ccmim.labels.map_folders import Maps
from ccmim.labels.maps import IGNORED, read_map
from ccmim.labels.photos import find_photo, images_below
from ccmim.labels.read import LabelError, regular

BACKGROUND = 'background'


@dataclass(frozen=True)
class Photo:
    """A photo and what is known of it.

    Attributes:
        path: Of the file.
        label: Number of its class; -1 where it has none of its own.
        boxes: Left, top, right and bottom of the objects as fractions of the photo,
            (n, 4); None where the labels are not of objects.
        draw: Makes the number of the class of each pixel, of the photo's own size;
            None where there are no masks.
    """

    path: Path
    label: int = -1
    boxes: Tensor | None = None
    draw: Callable[[], np.ndarray] | None = None

    def pixels(self, size: tuple[int, int]) -> Tensor:
        """Read the photo, squeezed to H x W: uint8 RGB (3, H, W).

        Raises:
            LabelError: If it cannot be read.
        """
        try:
            picture = decode_image(self.path.read_bytes())
        except (BadImageError, OSError) as error:
            name = printable(str(self.path))
            raise LabelError(f'{name} cannot be read: {reason_of(error)}') from None
        picture = picture.resize(size[::-1], Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())

    def map(self, size: tuple[int, int]) -> Tensor:
        """Draw the classes of the pixels at H x W: uint8 or int32 (H, W)."""
        classes = Image.fromarray(self.draw().astype(np.int32))
        classes = classes.resize(size[::-1], Image.Resampling.NEAREST)
        return torch.from_numpy(np.asarray(classes).copy())


@dataclass(frozen=True)
class LabeledPhotos:
    """Photos to remember and photos to be asked about.

    Attributes:
        classes: Names of the classes of photos or pixels, by number.
        train: What is remembered, and learned from.
        test: What is judged by.
    """

    classes: tuple[str, ...]
    train: list[Photo]
    test: list[Photo]

    @property
    def has_maps(self) -> bool:
        """Whether pixels have classes."""
        return self.train[0].draw is not None

    @property
    def has_boxes(self) -> bool:
        """Whether objects are known."""
        return self.test[0].boxes is not None

    @property
    def has_labels(self) -> bool:
        """Whether each photo has a class."""
        return self.train[0].label >= 0


def open_photos(data: Labeled, most: int | None = None) -> LabeledPhotos:
    """List the photos of labeled data; nothing is decoded yet.

    Without a split every fifth photo is for testing. Of masks of objects the pixels
    that no object has are a class of their own, the first; smaller objects lie on
    larger ones, and what is marked as a crowd, or has a box alone, is unlabeled.

    Args:
        data: What ``find_labels`` found.
        most: Photos at most of each part, evenly spread; all when None.

    Returns:
        The photos.
    """
    parts = []
    for is_for_test in (False, True):
        part = data.test if is_for_test and data.test else data.train
        if isinstance(data, Classes):
            photos = _of_classes(part, data.train)
        elif isinstance(data, Instances):
            photos = _of_objects(part, data)
        else:
            photos = _of_maps(part, data)
        if data.test is None:
            photos = [p for i, p in enumerate(photos) if is_test(i) == is_for_test]
        parts.append(spread(photos, most))
    if isinstance(data, Classes):
        names = tuple(FolderLabels(str(data.train)).classes)
    elif isinstance(data, Instances):
        names = (BACKGROUND, *data.classes)
    else:
        names = data.classes
    return LabeledPhotos(names, *parts)


def _of_classes(folder: Path, train: Path) -> list[Photo]:
    labels = FolderLabels(str(folder), FolderLabels(str(train)).classes)
    return [Photo(Path(p), labels.of(printable(abspath(p)))) for p in labels.paths()]


def _of_maps(part: tuple[Path, Path], data: Maps) -> list[Photo]:
    images, maps = part
    ending, drawn = data.suffixes
    names = sorted(name for name in images_below(images) if name.endswith(ending))

    def draw(name: str) -> np.ndarray:
        file = maps / f'{name.removesuffix(ending)}{drawn}'
        values = read_map(regular(file).read_bytes(), None, str(file)).astype(int)
        if not data.ignore_zero:
            return values
        return np.where((values == 0) | (values == IGNORED), IGNORED, values - 1)

    return [Photo(images / name, draw=partial(draw, name)) for name in names]


def _of_objects(part: tuple[Path, Path], data: Instances) -> list[Photo]:
    content = read_objects(part[0]).content
    names = {c['id']: c['name'] for c in content['categories']}
    numbers = {name: i for i, name in enumerate(data.classes, 1)}
    held = defaultdict(list)
    for one in content['annotations']:
        if one.get('bbox') and names.get(one['category_id']) in numbers:
            held[one['image_id']].append(one)
    photos = []
    for image in content['images']:
        size, objects = (image['width'], image['height']), held[image['id']]
        boxes = [one['bbox'] for one in objects if not one['iscrowd']]
        corners = torch.tensor(boxes, dtype=torch.float).view(-1, 4)
        corners[:, 2:] += corners[:, :2]
        corners /= torch.tensor([*size, *size])
        objects = [(numbers[names[one['category_id']]], one) for one in objects]
        photos.append(
            Photo(
                Path(find_photo(part[1], image['file_name'])),
                boxes=corners,
                draw=partial(_draw, objects, size) if data.with_masks else None,
            )
        )
    return photos


def _draw(
    objects: Sequence[tuple[int, dict[str, Any]]], size: tuple[int, int]
) -> np.ndarray:
    """Paint objects over the background, the smallest last."""
    classes = np.zeros(size[::-1], int)
    for number, one in sorted(objects, key=lambda pair: -(pair[1].get('area') or 0)):
        if one.get('segmentation') and not one['iscrowd']:
            classes[np.asarray(draw_mask(one['segmentation'], size)) > 0] = number
    unknown = np.zeros(size[::-1], bool)
    for _, one in objects:
        if one['iscrowd'] and one.get('segmentation'):
            unknown |= np.asarray(draw_mask(one['segmentation'], size)) > 0
        elif not one.get('segmentation'):
            left, top, width, height = (max(0, round(v)) for v in one['bbox'])
            unknown[top : top + height, left : left + width] = True
    return np.where(unknown & (classes == 0), IGNORED, classes)
