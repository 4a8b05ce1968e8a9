"""Bookkeeping of the images that a run cannot use."""

import logging
import os

import torch
from mmengine.logging import print_log

from ccmim.data.bad_files import BadFiles, by_kind, most_bad, reason_of
from ccmim.data.image import BadImageError
from ccmim.data.paths import printable
from ccmim.data.sources import ImageSource


class TooManyBadImagesError(RuntimeError):
    """More images than allowed cannot be used; the text counts and names them."""


class BadPhotoError(BadImageError):
    """A photo of a labeled set cannot be used; the text is its path and the reason."""

    path, reason = '', ''

    @classmethod
    def of(cls, path: str, error: Exception) -> 'BadPhotoError':
        """Make an error that names the photo.

        Args:
            path: Of the photo.
            error: What reading or decoding it raised.
        """
        name, reason = printable(os.path.abspath(path)), reason_of(error)
        bad = cls(f'{name} cannot be used: {reason}')
        bad.path, bad.reason = name, reason
        return bad


class BadPhotos:
    """Photos that cannot be used, by their names: counted and listed, each once.

    Args:
        total: Count of all photos.
        max_bad_ratio: Fraction of bad photos above which to stop, in [0, 1]; three are
            always allowed, as long as a good one is left.

    Attributes:
        files: The list that all processes add to; None without one.
    """

    def __init__(self, total: int, max_bad_ratio: float = 0.01) -> None:
        self._total, self._allowed = total, most_bad(total, max_bad_ratio)
        self._names: dict[str, str] = {}
        self.files: BadFiles | None = None

    def add(self, name: str, reason: str) -> None:
        """Note, log and list a photo.

        Args:
            name: Its printable name.
            reason: Why it cannot be used.

        Raises:
            TooManyBadImagesError: There are too many by now. Those that other processes
                have listed since the start are counted as well.
        """
        is_new = name not in self._names
        self._names[name] = reason
        if is_new and self._list(name, reason):
            _warn(f'Damaged image, replaced by others: {name} ({reason})')
        if self._count() > self._allowed:
            raise TooManyBadImagesError(self._too_many())

    def _count(self) -> int:
        return max(len(self._names), self.files.num_new if self.files else 0)

    def _first(self) -> list[str]:
        return list(self._names)[:5]

    def _list(self, name: str, reason: str) -> bool:
        """List an image if there is a list; whether nobody has done so before."""
        if self.files is None:
            return True
        try:
            return self.files.add(name, reason)
        except OSError as error:  # a full disk: the next checkpoint will say so too
            _warn(f'Cannot write {self.files.path}: {error.strerror or error}')
            return True

    def _too_many(self) -> str:
        count, names = self._count(), ', '.join(self._first())
        text = (
            f'{count:,} of {self._total:,} images are damaged, {self._allowed:,} '
            f'are allowed (max_bad_ratio): {names}{", ..." if count > 5 else ""}'
        )
        if self.files:
            text += f'; {by_kind(self.files.reasons.values())} ({self.files.path})'
        return text


class BadImages(BadPhotos):
    """The images of a source that cannot be used, known to all loader workers.

    Args:
        source: The source.
        max_bad_ratio: Fraction of bad images above which to stop, in [0, 1]; three are
            always allowed, as long as a good one is left.

    Raises:
        ValueError: The fraction is out of range.
    """

    def __init__(self, source: ImageSource, max_bad_ratio: float) -> None:
        super().__init__(len(source), max_bad_ratio)
        self._source = source
        # Shared memory: what one worker finds, all workers and the parent know.
        self._bad = torch.zeros(len(source), dtype=torch.bool).share_memory_()

    def __contains__(self, index: int) -> bool:
        """Return whether image ``index`` is known to be bad."""
        return bool(self._bad[index])

    @property
    def indices(self) -> list[int]:
        """Number the images that this process and its workers found."""
        # A copy: nonzero fails on what another worker changes meanwhile.
        return self._bad.clone().nonzero().flatten().tolist()

    def note(self, index: int, error: Exception) -> None:
        """Note, log and list image ``index``, as ``add`` does.

        Args:
            index: Its number.
            error: What reading or decoding it raised.
        """
        self._bad[index] = True
        self.add(self._source.name(index), reason_of(error))

    def _count(self) -> int:
        return max(super()._count(), int(self._bad.sum()))

    def _first(self) -> list[str]:
        return [self._source.name(index) for index in self.indices[:5]]


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
