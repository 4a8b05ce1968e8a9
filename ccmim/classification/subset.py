"""A subset of labeled images: a fraction of each class, or those in a list."""

import os
from collections.abc import Sequence

import numpy as np

from ccmim.data.paths import printable

_SHARE = 4  # keeps these numbers apart from those of augmentation and order


def part_of_each_class(labels: Sequence[int], fraction: float, seed: int) -> list[int]:
    """Choose a fraction of the images of each class, at least one.

    A smaller fraction of the same seed is part of a larger one.

    Args:
        labels: Class of each image.
        fraction: From above 0 to 1.
        seed: Another one gives another choice.

    Returns:
        Numbers of the chosen images, ascending.
    """
    labels = np.asarray(labels)
    chosen = []
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        generator = np.random.default_rng((seed, label, _SHARE))
        count = max(1, int(fraction * len(members) + 0.5))
        chosen += generator.permutation(members)[:count].tolist()
    return sorted(chosen)


def listed_in(paths: Sequence[str], file: str | os.PathLike) -> list[int]:
    """Find the images that a list names, as for the usual parts of ImageNet.

    Args:
        paths: The images.
        file: A text file with one name a line: ``NAME.JPEG`` or ``CLASS/NAME.JPEG``.

    Returns:
        Numbers of the images, ascending.

    Raises:
        ValueError: A name fits no image, or several.
    """
    with open(file, 'rb') as lines:
        names = {os.fsdecode(line.strip()) for line in lines if line.strip()}
    indices: dict[str, int] = {}
    for i, path in enumerate(paths):
        folder, base = os.path.split(path)
        for name in {base, f'{os.path.basename(folder)}/{base}'} & names:
            if name in indices:
                raise ValueError(
                    f'{file} names {printable(name)}, of which there are several: '
                    'write CLASS/NAME'
                )
            indices[name] = i
    if missing := sorted(names - indices.keys()):
        raise ValueError(
            f'{len(missing)} of the {len(names)} images that {file} names are not '
            f'there, such as {printable(missing[0])}'
        )
    return sorted(set(indices.values()))
