"""Decode every image of a source before training, and report problems."""

import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image

from ccmim.data.bad_files import by_kind, reason_of
from ccmim.data.image import BadImageError, decode_image, open_image
from ccmim.data.sources import ImageSource
from ccmim.ranges import Count, Index, in_ranges

_FEW = ' of values of '
_PAGES = ' of '
_NEARLY_BLACK = 12  # of 16 bits


class Checked(NamedTuple):
    """What was found out about an image.

    Attributes:
        name: Its printable name.
        reason: Why it cannot be used, None if it can.
        kind: Kind of the file, such as JPEG, or TIFF of 3 pages; empty if it could not
            be decoded.
        mode: Stored pixels in PIL's words: RGB, L (gray), P (palette), I;16, CMYK; and
            how many bits values of 16 bits need, if they are few.
        short_side: Pixels of the upright picture, 0 if it could not be decoded.
    """

    name: str
    reason: str | None
    kind: str = ''
    mode: str = ''
    short_side: int = 0


@in_ranges
def check_images(
    source: ImageSource, num_workers: Count | None = None, least_side: Index = 0
) -> Iterator[Checked]:
    """Decode all images of a source fully, in parallel.

    Args:
        source: The source.
        num_workers: Processes; as many as there are cores when None.
        least_side: Images with a shorter side of fewer pixels cannot be used either.

    Yields:
        For each image, in order, what was found out.

    Raises:
        ValueError: A value is out of range.
        BrokenProcessPool: A worker was killed, often as the memory is full.
    """
    # A task holds some images, so that there are thousands of tasks, not millions.
    chunk = min(256, max(1, len(source) // 1000))
    indices = range(len(source))
    with ProcessPoolExecutor(
        num_workers, initializer=_prepare, initargs=(source, least_side)
    ) as pool:
        yield from pool.map(_check, indices, chunksize=chunk)


def summarize(results: Iterable[Checked]) -> str:
    """Count images by kind and size, and bad ones by reason.

    Args:
        results: What ``check_images`` found out.

    Returns:
        A few lines of text.
    """
    results = list(results)
    decoded = [result for result in results if result.short_side]
    reasons = [result.reason for result in results if result.reason]
    good = len(results) - len(reasons)
    lines = [f'{len(results):,} images: {good:,} good, {len(reasons):,} bad']
    if decoded:
        sides = [result.short_side for result in decoded]
        quantiles = np.quantile(sides, [0.05, 0.5, 0.95]).round().astype(int).tolist()
        low, median, high = quantiles
        lines += [
            f'Short side in px: min {min(sides):,}, 5% {low:,}, median {median:,}, '
            f'95% {high:,}, max {max(sides):,}',
            f'Kinds: {by_kind(result.kind for result in decoded)}',
            f'Modes: {by_kind(result.mode for result in decoded)}',
        ]
    lines += [f'WARNING: {text}' for text in cautions(results)]
    if reasons:
        lines.append(f'Bad: {by_kind(reasons)}')
    return '\n'.join(lines)


def cautions(results: Iterable[Checked]) -> list[str]:
    """List surprising properties of good images, one line each.

    Args:
        results: What ``check_images`` found out.
    """
    results = list(results)
    texts = []
    if few := sum(_FEW in result.mode for result in results):
        texts.append(
            f'{few:,} images have 16 bits and values of {_NEARLY_BLACK} or fewer, and '
            'become nearly black, as white is 65535: multiply them (12 bits: by 16)'
        )
    if many := sum(_PAGES in result.kind for result in results):
        texts.append(
            f'of {many:,} TIFFs of several pages the first page is read: save the '
            'others as files of their own'
        )
    return texts


def _prepare(source: ImageSource, least_side: int) -> None:
    global _source, _least_side
    _source, _least_side = source, least_side
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process


def _few_bits(stored: Image.Image, is_deep: bool, decoded: Image.Image) -> str:
    """Describe the used bits where a 16-bit picture does not need all of them."""
    if stored.mode.startswith('I'):
        bits = int(np.asarray(stored).max(initial=0)).bit_length()
    elif is_deep:  # of colors, of which PIL reads the upper 8 bits
        bits = 8 + int(np.asarray(decoded).max(initial=0)).bit_length()
    else:
        return ''
    return f'{_FEW}{bits} bits' if 0 < bits <= _NEARLY_BLACK else ''


def _check(index: int) -> Checked:
    name = _source.name(index)
    try:
        data = _source.read(index)
        kind, mode = (stored := open_image(data)).format, stored.mode
        if kind == 'TIFF' and (pages := getattr(stored, 'n_frames', 1)) > 1:
            kind = f'{kind}{_PAGES}{pages} pages'
            stored.seek(0)
        is_deep = ';16' in str(stored.tile)
        decoded = decode_image(data)
        mode += _few_bits(stored, is_deep, decoded)
        side = min(decoded.size)
    except (BadImageError, OSError) as error:
        return Checked(name, reason_of(error))
    small = f'too small: {side} px (at least {_least_side})'
    return Checked(name, small if side < _least_side else None, str(kind), mode, side)
