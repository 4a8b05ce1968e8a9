"""Sources of unlabeled images: folders, lists, tars, zips, parquet and addresses.

A source knows how many images it has, what each is called and how to read the bytes
of one. It decodes nothing and keeps no open state that pickling could lose, so the
same object serves the main process and loader workers of either start method.
"""

import glob
import os
import stat
from collections.abc import Iterable, Sequence
from typing import NoReturn, Protocol

import numpy as np

from ccmim.data.folders import walk_images
from ccmim.data.image import refuse_large
from ccmim.data.lists import local_path, read_list, read_plain_list
from ccmim.data.parquet_shards import ParquetShards
from ccmim.data.paths import (
    COMPRESSED,
    IMAGE_SUFFIXES,
    LOOKED_FOR,
    PathTable,
    checksum_of_file,
    printable,
)
from ccmim.data.remote import RemoteImages, split_addresses
from ccmim.data.tar_index import compressed_text
from ccmim.data.tar_shards import TarShards
from ccmim.data.zip_shards import ZipShards

_KINDS = ('.tar', '.zip', '.parquet', '.txt', *IMAGE_SUFFIXES)


class ImageSource(Protocol):
    """A numbered collection of encoded images."""

    def __len__(self) -> int:
        """Count the images."""

    def name(self, index: int) -> str:
        """Name image ``index``: its absolute path, one printable line of UTF-8."""

    def read(self, index: int) -> bytes:
        """Read the encoded bytes of image ``index``.

        OSError when that fails, BadImageError when there are too many of them.
        """

    def paths(self) -> list[bytes]:
        """List what distinguishes the images, in order and quickly: paths as given."""

    def checksum(self, index: int) -> int:
        """Hash the size of image ``index`` and some bytes from its middle."""


class ImageFiles:
    """Image files on disk.

    Args:
        paths: Their paths, in the order in which they are numbered.
    """

    def __init__(self, paths: Iterable[str] | PathTable) -> None:
        self._paths = paths if isinstance(paths, PathTable) else PathTable(paths)

    def __len__(self) -> int:
        """Count the images."""
        return len(self._paths)

    def name(self, index: int) -> str:
        """Name image ``index``: its absolute path, made printable."""
        return printable(os.path.abspath(self._paths[index]))

    def read(self, index: int) -> bytes:
        """Read file ``index``, see ``read_file``."""
        return read_file(self._paths[index])

    def paths(self) -> list[bytes]:
        """List the paths as they were given."""
        return self._paths.encoded()

    def joined(self) -> bytes:
        """Return the paths as they were given, one a line."""
        return self._paths.joined()

    def checksum(self, index: int) -> int:
        """Hash file ``index``, see ``checksum_of_file``."""
        return checksum_of_file(self._paths[index])


def read_file(path: str) -> bytes:
    """Read a file of reasonable size, at most as many bytes as it says that it has.

    Args:
        path: The file.

    Returns:
        Its bytes.

    Raises:
        OSError: It is gone, closed to us, or no regular file.
        BadImageError: It is larger than 512 MiB.
    """
    status = os.stat(path)
    # Opening a named pipe would wait for ever for somebody to write into it.
    if not stat.S_ISREG(status.st_mode):
        raise OSError('not a regular file')
    refuse_large(status.st_size)
    with open(path, 'rb') as file:
        return file.read(status.st_size)


class JoinedSource:
    """Several sources, one after the other.

    Args:
        sources: The sources, in order.
    """

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        self._sources = list(sources)
        self._ends = np.cumsum([len(source) for source in sources])

    def __len__(self) -> int:
        """Count the images."""
        return int(self._ends[-1])

    def name(self, index: int) -> str:
        """Name image ``index``."""
        source, index = self._find(index)
        return source.name(index)

    def read(self, index: int) -> bytes:
        """Read the encoded bytes of image ``index``."""
        source, index = self._find(index)
        return source.read(index)

    def paths(self) -> list[bytes]:
        """List the paths of all sources."""
        return [path for source in self._sources for path in source.paths()]

    def checksum(self, index: int) -> int:
        """Hash image ``index``."""
        source, index = self._find(index)
        return source.checksum(index)

    def _find(self, index: int) -> tuple[ImageSource, int]:
        part = int(np.searchsorted(self._ends, index, side='right'))
        start = int(self._ends[part - 1]) if part else 0
        return self._sources[part], index - start


def open_source(
    data: str | os.PathLike | Sequence[str | os.PathLike],
    root: str | os.PathLike | None = None,
) -> ImageSource:
    """Open the images that ``data`` names.

    Args:
        data: A folder (searched recursively), a list file (``.txt``), a plain tar
            file (``.tar``), a ``.zip``, a ``.parquet``, an image file, a glob pattern
            of these, an address (see ``RemoteImages``), or a list of them. Files are
            numbered before members of tars, and those before members of zips, rows of
            parquet files and what is remote.
        root: Folder that relative paths in list files start from; the folder of
            each list file when None.

    Returns:
        A source with at least one image.

    Raises:
        FileNotFoundError: A path does not exist or a pattern matches nothing.
        ValueError: Something has an unknown format, or there is no image in it.
    """
    if isinstance(data, str | os.PathLike):
        data = os.fspath(data)
    items = [data] if isinstance(data, str) else data
    files: list[str] = []
    addresses: list[str] = []
    with_list = False
    archives: dict[str, list[str]] = {'.tar': [], '.zip': [], '.parquet': []}
    given, remote = split_addresses(os.fspath(item) for item in items)
    for path in (path for item in given for path in _expand(item)):
        suffix = os.path.splitext(path)[1].lower()
        if os.path.isdir(path):
            files += walk_images(path)
        elif suffix in COMPRESSED:
            raise ValueError(compressed_text(path))
        elif not (os.path.isfile(path) and suffix in _KINDS):
            raise ValueError(
                f'Cannot read images from {printable(path)}: it is no folder, no '
                'list file (.txt), no plain tar (.tar), zip or parquet, and no image'
            )
        elif suffix in archives:
            archives[suffix].append(path)
        elif suffix == '.txt':
            with_list = True
            if path == data and (table := read_plain_list(path, root)):
                return ImageFiles(table)
            listed, far = split_addresses(read_list(path, root))
            files += listed
            addresses += far
        else:
            files.append(path)
    if root is not None and not with_list:
        refuse_root(root)
    parts = (
        ImageFiles(files),
        TarShards(archives['.tar']),
        ZipShards(archives['.zip']),
        ParquetShards(archives['.parquet']),
        RemoteImages(remote, addresses),
    )
    sources: list[ImageSource] = [part for part in parts if len(part)]
    if not sources:
        raise ValueError(f'No images in {data} ({LOOKED_FOR})')
    return sources[0] if len(sources) == 1 else JoinedSource(sources)


def refuse_root(root: str | os.PathLike) -> NoReturn:
    """Refuse ``root`` where no list of paths is given.

    Raises:
        ValueError: Always.
    """
    raise ValueError(
        f'root={printable(os.fspath(root))} is where the paths of a list (.txt) start, '
        'and data is none: leave it out'
    )


def _expand(item: str) -> list[str]:
    path = os.path.expanduser(local_path(item))
    if os.path.exists(path):
        return [path]
    if not glob.has_magic(path):
        raise FileNotFoundError(
            f'No such folder, list file or tar: {printable(os.path.abspath(path))}'
        )
    matches = sorted(glob.glob(path, recursive=True), key=os.fsencode)
    if not matches:
        raise FileNotFoundError(f'Nothing matches {printable(os.path.abspath(path))}')
    return matches
