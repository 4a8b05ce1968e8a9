"""Survey the images to pretrain on: number, sizes, damaged and skipped files."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ccmim.data.bad_files import by_kind
from ccmim.data.check import Checked, cautions, check_images
from ccmim.data.exclude import SourceSubset
from ccmim.data.folders import walk_data
from ccmim.data.paths import is_image_name
from ccmim.data.sources import open_source
from ccmim.progress import progress

# More images than these are sampled: decoding all takes a minute for each ten thousand.
_ALL, _SAMPLE = 5000, 2000
_EDGES = (0, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_BAR = 40  # characters


class Survey(NamedTuple):
    """What was found.

    Attributes:
        total: Number of images by their names.
        checked: What is known of those that were decoded.
        others: Number of files of other kinds in the folders, by suffix.
    """

    total: int
    checked: list[Checked]
    others: Counter[str]

    @property
    def looked_at_all(self) -> bool:
        """Whether each image was decoded."""
        return len(self.checked) == self.total

    @property
    def bad(self) -> dict[str, str]:
        """Why images cannot be used, by name, of those that were decoded."""
        return {photo.name: photo.reason for photo in self.checked if photo.reason}

    @property
    def num_good(self) -> int:
        """Count the images that are left, by estimate where they were sampled."""
        ratio = 1 - len(self.bad) / max(1, len(self.checked))
        return round(self.total * ratio)

    @property
    def median_side(self) -> int:
        """The median short side in pixels; 0 if none could be decoded."""
        sides = [photo.short_side for photo in self.checked if photo.short_side]
        return int(np.median(sides)) if sides else 0

    def lines(self) -> list[str]:
        """Describe it for a person."""
        looked = '' if self.looked_at_all else f' ({len(self.checked):,} looked at)'
        lines = [f'Images       {self.total:,}{looked}']
        if self.bad:
            lines.append(
                f'  damaged    {len(self.bad):,}: {by_kind(self.bad.values())}'
            )
            name, reason = next(iter(self.bad.items()))
            lines.append(f'             such as {name}: {reason}')
        if self.others:
            kinds = ', '.join(f'{n:,} {kind}' for kind, n in self.others.most_common(5))
            lines.append(f'  left out   {self.others.total():,} other files: {kinds}')
        lines += [f'  WARNING    {text}' for text in cautions(self.checked)]
        sides = [photo.short_side for photo in self.checked if photo.short_side]
        return lines + _histogram(sides)


def look(data: Sequence[str]) -> Survey:
    """Open what was given, and decode all of it or a sample, in parallel.

    Args:
        data: What ``open_source`` takes.

    Returns:
        What was found.

    Raises:
        FileNotFoundError: A path does not exist or a pattern matches nothing.
        ValueError: There is no image, or something has an unknown format.
    """
    source = open_source(data)
    total, part = len(source), source
    if total > _ALL:
        part = SourceSubset(source, np.linspace(0, total - 1, _SAMPLE).astype(int))
    workers = min(len(os.sched_getaffinity(0)), 1 + len(part) // 64)
    results = check_images(part, workers)
    bar = progress(results, 'Looking', len(part), 'images')
    return Survey(total, list(bar), _other_files(data))


def _other_files(data: Sequence[str]) -> Counter[str]:
    others: Counter[str] = Counter()
    for top in filter(os.path.isdir, map(os.path.expanduser, data)):
        for _, names in walk_data(top):
            others.update(
                os.path.splitext(name)[1].lower() or 'without suffix'
                for name in names
                if not is_image_name(name)
            )
    return others


def _histogram(sides: Sequence[int]) -> list[str]:
    if not sides:
        return []
    counts, _ = np.histogram(sides, (*_EDGES, np.inf))
    used = np.flatnonzero(counts)
    lines = []
    for i in range(used[0], used[-1] + 1):
        last = f'- {_EDGES[i + 1] - 1}' if i + 1 < len(_EDGES) else 'or more'
        bar = '#' * int(np.ceil(_BAR * counts[i] / counts.max()))
        lines.append(f'  {_EDGES[i]:>5} {last:<8}{counts[i]:>7,} {bar}'.rstrip())
    return ['Short side in pixels', *lines]
