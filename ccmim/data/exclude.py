"""A source without the images of a list, or a fraction of it."""

import logging
import os

import numpy as np

from ccmim.data.bad_files import read_bad_files
from ccmim.data.paths import log_message, printable
from ccmim.data.sources import ImageSource


class SourceSubset:
    """Some images of a source.

    Args:
        source: The source.
        indices: Which of its images, shape (N,).
    """

    def __init__(self, source: ImageSource, indices: np.ndarray) -> None:
        self._source = source
        self._indices = indices

    def __len__(self) -> int:
        """Count the images."""
        return len(self._indices)

    def name(self, index: int) -> str:
        """Name image ``index``."""
        return self._source.name(self._indices[index])

    def read(self, index: int) -> bytes:
        """Read the encoded bytes of image ``index``."""
        return self._source.read(self._indices[index])

    def paths(self) -> list[bytes]:
        """List the paths of these images."""
        paths = self._source.paths()
        return [paths[index] for index in self._indices.tolist()]

    def checksum(self, index: int) -> int:
        """Hash image ``index``."""
        return self._source.checksum(self._indices[index])


def leave_out(
    source: ImageSource, path: str | os.PathLike
) -> tuple[ImageSource, dict[str, str]]:
    """Leave out of a source what a list of bad images names.

    Args:
        source: The source.
        path: The list, as ``tools/check_images.py`` and pretraining write it.

    Returns:
        The other images, and the reasons of those that were left out, by name.

    Raises:
        ValueError: It is no such list, or names all the images.
        OSError: It cannot be read.
    """
    listed = read_bad_files(path)
    bad = np.array([source.name(i) in listed for i in range(len(source))])
    if bad.all():
        raise ValueError(
            f'{printable(os.fspath(path))} names all the images: nothing is left, '
            'correct the list or leave exclude out'
        )
    excluded = {name: listed[name] for name in map(source.name, np.flatnonzero(bad))}
    name = printable(os.fspath(path))
    text = f'{len(excluded)} of the {len(listed)} images that {name} lists are left out'
    level = logging.INFO if len(excluded) == len(listed) else logging.WARNING
    log_message(text, level)
    return SourceSubset(source, np.flatnonzero(~bad)), excluded


def fraction_of(source: ImageSource, fraction: float) -> SourceSubset:
    """Choose a fraction of a source, always the same for as many images.

    Args:
        source: The source.
        fraction: In (0, 1]; of the whole to the nearest image, at least one.

    Returns:
        The chosen images, in their order.
    """
    order = np.random.default_rng(0).permutation(len(source))
    count = max(1, round(fraction * len(source)))
    return SourceSubset(source, np.sort(order[:count]))
