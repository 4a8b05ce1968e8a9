"""Split or subsample labeled data: write lists and annotation files."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ccmim.classification.labels import FolderLabels
from ccmim.data.paths import printable
from ccmim.files import write_file
from ccmim.labels.convert import read_objects
from ccmim.labels.photos import find_photo, images_below, is_sound
from ccmim.labels.read import LabelError

T = TypeVar('T')
_EVERY = 5  # one of so many images is kept for testing


def is_test(number: int) -> bool:
    """Return whether image ``number`` is kept for testing where there is no split."""
    return number % _EVERY == _EVERY - 1


def spread(items: Sequence[T], most: int | None) -> list[T]:
    """Take at most so many items, evenly; all when None."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def list_classes(
    folder: Path,
    classes: Sequence[str],
    file: Path,
    keep: Callable[[int], bool],
    most: int | None = None,
) -> None:
    """List images of class folders with their classes, by number.

    Args:
        folder: Holds a folder for each class.
        classes: Names of the classes; those of training for testing too.
        file: The list to write.
        keep: Returns, given its number, whether an image is taken.
        most: How many at most.
    """
    labels = FolderLabels(str(folder), classes)
    paths = [path for i, path in enumerate(labels.paths()) if keep(i)]
    # By number, as a name may hold blanks.
    lines = [f'{path} {labels.of(printable(path))}\n' for path in spread(paths, most)]
    write_file(file, os.fsencode(''.join(lines)))


def cut_coco(
    source: Path,
    file: Path,
    keep: Callable[[int], bool],
    most: int | None = None,
    photos: Path | None = None,
    classes: Sequence[str] = (),
) -> None:
    """Write annotations of some of the images.

    Args:
        source: What ``read_objects`` takes.
        file: The file to write.
        keep: Returns, given its number, whether an image is taken.
        most: How many at most.
        photos: Folder of the images, to leave out those that are damaged: training
            shows others in their place, and a test does not.
        classes: Which the file must know, also where none of its objects is of them:
            layouts without a list of classes have those that occur.
    """
    content = read_objects(source).content
    images = [image for i, image in enumerate(content['images']) if keep(i)]
    if photos is not None:
        images = [i for i in images if is_sound(find_photo(photos, i['file_name']))]
    content['images'] = spread(images, most)
    known = {category['name']: category['id'] for category in content['categories']}
    more = [name for name in classes if name not in known]
    first = max(known.values(), default=0) + 1
    content['categories'] += [dict(id=i, name=n) for i, n in enumerate(more, first)]
    ids = {image['id'] for image in content['images']}
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] in ids]
    write_file(file, json.dumps(content))


def list_names(
    folder: Path,
    suffix: str,
    file: Path,
    keep: Callable[[int], bool],
    most: int | None,
    is_test: bool = False,
) -> None:
    """List names of images without their suffix, as mmseg reads them.

    Args:
        folder: Of the images.
        suffix: Of the images.
        file: The list to write.
        keep: Returns, given its number, whether an image is taken.
        most: How many at most.
        is_test: Whether to leave out damaged images, as of ``cut_coco``.

    Raises:
        LabelError: If a name is no UTF-8.
    """
    photos = (name for name in images_below(folder) if name.endswith(suffix))
    names = sorted(name.removesuffix(suffix) for name in photos)
    kept = [name for i, name in enumerate(names) if keep(i)]
    if is_test:
        kept = [name for name in kept if is_sound(folder / f'{name}{suffix}')]
    taken = spread(kept, most)
    odd = [name for name in taken if name.encode(errors='replace') != os.fsencode(name)]
    if odd:
        raise LabelError(
            f'{printable(odd[0])} in {folder} is no name in UTF-8, and mmseg cannot '
            'read it in a list: rename the image and its map'
        )
    write_file(file, os.fsencode(''.join(f'{name}\n' for name in taken)))
