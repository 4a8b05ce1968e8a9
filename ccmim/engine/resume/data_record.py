"""Which images a run is trained on, so that a resumed one can tell if they changed.

The order of the images, and with it the place that a run has reached, is a function of
their numbers, which follow from the sorted names.
"""

import gzip
import hashlib
import os
from collections import Counter
from pathlib import Path

from torch.utils.data import Dataset

from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.data.unlabelled import unlabelled_in

FILE = 'images.txt.gz'  # in the folder of the run


def image_list(dataset: Dataset) -> bytes | None:
    """List the images of a data set by their names, a second for two million.

    Args:
        dataset: Of unlabelled images, or another.

    Returns:
        One path a line, in the order of their numbers, from the folder that all have
        in common; None for other data sets.
    """
    images = unlabelled_in(dataset)
    if images is None:
        return None
    paths = images.paths()
    # What the first and the last of all in order have in common, all have.
    first, last = min(paths), max(paths)
    same = os.path.commonprefix([first, last])
    start = same.rfind(b'/') + 1
    return b'\n'.join([path[start:] for path in paths])


def fingerprint(names: bytes | None) -> str | None:
    """Shorten a list of names to 64 hexadecimal digits."""
    return None if names is None else hashlib.sha256(names).hexdigest()


def write_list(work_dir: str | Path, names: bytes) -> None:
    """Write a list of names to the folder of a run (``zless images.txt.gz``).

    Raises:
        WriteError: If the disk is full.
    """
    packed = gzip.compress(names, compresslevel=1, mtime=0)
    AtomicLocalBackend().put(packed, Path(work_dir) / FILE)


def compare_lists(work_dir: str | Path, names: bytes) -> str:
    """Say how a list of names differs from the one in the folder of a run.

    Returns:
        Such as '41 files gone (a.jpg, ...), 3 new (b.jpg, ...)', or 'other files'
        when there is no list to compare with.
    """
    path = Path(work_dir) / FILE
    if not path.is_file():
        return 'other files'
    old, new = (
        Counter(text.split(b'\n'))
        for text in (gzip.decompress(path.read_bytes()), names)
    )
    gone, added = sorted((old - new).elements()), sorted((new - old).elements())
    if not gone and not added:
        return 'the same files in another order'
    return f'{len(gone):,} files gone{_some(gone)}, {len(added):,} new{_some(added)}'


def _some(names: list[bytes]) -> str:
    shown = [name.decode('utf-8', 'backslashreplace') for name in names[:2]]
    return f' ({", ".join(shown)}{", ..." * (len(names) > 2)})' if names else ''
