"""What a run knows of the images that it cannot use."""

import logging

import torch
from mmengine.logging import print_log

from ccmim.data.bad_files import BadFiles, by_kind, reason_of
from ccmim.data.sources import ImageSource

_ALWAYS_ALLOWED = 3


class TooManyBadImagesError(RuntimeError):
    """More images than allowed cannot be used; the text counts and names them."""


class BadImages:
    """The images of a source that cannot be used, known to all loader workers.

    Args:
        source: The source.
        max_share: Fraction of bad images above which to stop, from 0 to 1; three are
            always allowed, as long as a good one is left.

    Raises:
        ValueError: The share is out of range.
    """

    def __init__(self, source: ImageSource, max_share: float) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_bad_ratio must lie in [0, 1], got {max_share}')
        self._source = source
        allowed = max(_ALWAYS_ALLOWED, int(max_share * len(source)))
        self._allowed = min(allowed, len(source) - 1)
        # Shared memory: what one worker finds, all workers and the parent know.
        self._found = torch.zeros(len(source), dtype=torch.bool).share_memory_()
        self.files: BadFiles | None = None

    def __contains__(self, index: int) -> bool:
        """Return whether image ``index`` is known to be bad."""
        return bool(self._found[index])

    @property
    def indices(self) -> list[int]:
        """Number the images that this process and its workers found."""
        # A copy: nonzero fails on what another worker changes meanwhile.
        return self._found.clone().nonzero().flatten().tolist()

    def add(self, index: int, error: Exception) -> None:
        """Note, log and list a bad image.

        Args:
            index: Its number.
            error: What reading or decoding it raised.

        Raises:
            TooManyBadImagesError: There are too many by now. Those that other ranks
                have listed since the start are counted as well.
        """
        self._found[index] = True
        name, reason = self._source.name(index), reason_of(error)
        if self._list(name, reason):
            _warn(f'Damaged image, replaced by others: {name} ({reason})')
        count = int(self._found.sum())
        if self.files:
            count = max(count, self.files.num_new)
        if count > self._allowed:
            raise TooManyBadImagesError(self._too_many(count))

    def _list(self, name: str, reason: str) -> bool:
        """List an image if there is a list; whether nobody has done so before."""
        if self.files is None:
            return True
        try:
            return self.files.add(name, reason)
        except OSError as error:  # a full disk: the next checkpoint will say so too
            _warn(f'Cannot write {self.files.path}: {error.strerror or error}')
            return True

    def _too_many(self, count: int) -> str:
        names = ', '.join(self._source.name(i) for i in self.indices[:5])
        text = (
            f'{count:,} of {len(self._found):,} images are damaged, {self._allowed:,} '
            f'are allowed (max_bad_ratio): {names}{", ..." if count > 5 else ""}'
        )
        if self.files:
            text += f'; {by_kind(self.files.reasons.values())} ({self.files.path})'
        return text


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
