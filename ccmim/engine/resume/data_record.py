"""A record of the training images, so that a resumed run can detect changes.

The order of the images, and with it the position that a run has reached, is a function
of their numbers, which follow from the sorted names.
"""

import gzip
import hashlib
import os
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.data.paths import checksum_of_file
from ccmim.data.unlabeled import unlabeled_in

FILE = 'images.txt.gz'  # in the folder of the run
_MOST = 10_000  # images whose contents are compared, evenly spread over all
_THREADS = 8  # that wait for a disk


def image_list(dataset: Dataset) -> bytes | None:
    """List the images of a data set by their names, a second for two million.

    Args:
        dataset: Of unlabeled images, or another.

    Returns:
        One path a line, in the order of their numbers, from the folder that all have
        in common; None for other data sets.
    """
    images = unlabeled_in(dataset)
    if images is None:
        return None
    text = images.joined_paths()
    ends = text[: text.find(b'\n')], text[text.rfind(b'\n') + 1 :]
    same = os.path.commonprefix(ends) if len(images) > 1 else text
    folder = same[: same.rfind(b'/') + 1]
    while text.count(b'\n' + folder) < len(images) - 1:
        folder = folder[: folder[:-1].rfind(b'/') + 1]
    return text.replace(b'\n' + folder, b'\n')[len(folder) :]


def fingerprint(names: bytes | None) -> str | None:
    """Shorten a list of names to 64 hexadecimal digits."""
    return None if names is None else hashlib.sha256(names).hexdigest()


def contents(dataset: Dataset) -> Tensor | None:
    """Hash the contents of images and their labels: a second for ten thousand.

    Args:
        dataset: Of unlabeled or labeled images, or of mmdet or mmseg.

    Returns:
        A number of each, (N,); of at most 10,000, evenly spread. None for other data.
    """
    chosen = looked_at(dataset)
    if chosen is None:
        return None
    with ThreadPoolExecutor(_THREADS) as pool:
        sums = list(pool.map(lambda index: _checksum(dataset, index), chosen.tolist()))
    return torch.tensor(sums, dtype=torch.int64)


def looked_at(dataset: Dataset) -> np.ndarray | None:
    """Number the images that ``contents`` looks at; None where it looks at none."""
    known = unlabeled_in(dataset) is not None or hasattr(dataset, 'get_data_info')
    if not (known and hasattr(dataset, '__len__')):
        return None
    count = len(dataset)
    return np.linspace(0, count - 1, min(count, _MOST)).round().astype(np.int64)


def name_of(dataset: Dataset, index: int) -> str:
    """Name an image of a data set that ``contents`` knows."""
    images = unlabeled_in(dataset)
    if images is not None:
        return images.name(index)
    return str(dataset.get_data_info(index).get('img_path', index))


def _checksum(dataset: Any, index: int) -> int:
    images = unlabeled_in(dataset)
    if images is not None:
        label = getattr(dataset, 'labels', None)
        text = '' if label is None else str(int(label[index]))
        return zlib.crc32(text.encode(), images.checksum(index))
    info = dataset.get_data_info(index)
    number = 0
    for name in ('img_path', 'seg_map_path'):
        if isinstance(path := info.pop(name, None), str):
            number = number * 31 + checksum_of_file(path)
    info = {key: value for key, value in info.items() if not key.endswith('path')}
    return zlib.crc32(repr(info).encode(), number & 0xFFFFFFFF)


def write_list(work_dir: str | Path, names: bytes) -> None:
    """Write a list of names to the folder of a run (``zless images.txt.gz``).

    Raises:
        WriteError: If the disk is full.
    """
    packed = gzip.compress(names, compresslevel=1, mtime=0)
    AtomicLocalBackend().put(packed, Path(work_dir) / FILE)


def compare_lists(work_dir: str | Path, names: bytes) -> str:
    """Describe how a list of names differs from the one in the folder of a run.

    Returns:
        Such as '41 files gone (a.jpg, ...), 3 new (b.jpg, ...)', or 'other files'
        when there is no list to compare with.
    """
    path = Path(work_dir) / FILE
    if not path.is_file():
        return 'other files'
    try:
        before = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):  # damaged: only a help for this message
        before = b''
    if not before:
        return 'other files'
    old, new = (Counter(text.split(b'\n')) for text in (before, names))
    gone, added = sorted((old - new).elements()), sorted((new - old).elements())
    if not gone and not added:
        return 'the same files in another order'
    return f'{len(gone):,} files gone{_some(gone)}, {len(added):,} new{_some(added)}'


def _some(names: list[bytes]) -> str:
    shown = [name.decode('utf-8', 'backslashreplace') for name in names[:2]]
    return f' ({", ".join(shown)}{", ..." * (len(names) > 2)})' if names else ''
