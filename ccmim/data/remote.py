"""Images on object storage, by address, through fsspec.

fsspec reads its options from the environment: credentials and ``AWS_ENDPOINT_URL`` as
Amazon's own tools do, the rest as ``FSSPEC_S3='{"anon": true}'``.
"""

import glob
import os
import re
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ccmim.data.image import BadImageError, refuse_large
from ccmim.data.paths import LOOKED_FOR, PathTable, is_image_name, printable

_ADDRESS = re.compile(r'([A-Za-z][A-Za-z0-9+.-]+):/+')
_WAITS = (1.0, 5.0)  # seconds before a read is tried again
_UNKNOWN = -1
_LOCAL_ALONE = ('.zip', '.parquet', '.txt', '.gz', '.tgz', '.bz2', '.xz', '.zst')


def is_address(path: str) -> bool:
    """Return whether a path is the address of something that is no local file."""
    match = _ADDRESS.match(path)
    return bool(match) and match[1].lower() != 'file' and not os.path.lexists(path)


class RemoteImages:
    """Images by address: folders, single ones, globs and plain tars, read at random.

    Tars are read through once, here, for their headers. Workers read on connections of
    their own, and again after an error.

    Args:
        addresses: Such as ``s3://bucket/folder`` or ``s3://bucket/photos.tar``.
        listed: Images by address, perhaps millions, of which one is looked at.

    Raises:
        FileNotFoundError: Nothing is there.
        ValueError: The driver is missing, the server does not answer, or there are no
            images.
    """

    def __init__(self, addresses: Sequence[str], listed: Sequence[str] = ()) -> None:
        self._shards: list[str] = []
        names, locations = [], []
        # A Path has lost one of the slashes.
        for address in (_ADDRESS.sub(r'\1://', one, count=1) for one in addresses):
            count = len(names)
            for name, *location in _listed(address):
                names.append(name)
                locations.append((len(self._shards), *location))
            if len(names) == count:
                raise ValueError(f'No images in {printable(address)} ({LOOKED_FOR})')
            self._shards.append(address)
        for address in listed[:1]:
            list(_listed(address))
        names += listed
        locations += [(_UNKNOWN, _UNKNOWN, _UNKNOWN, 0)] * len(listed)
        self._names = PathTable(names)
        # Shard, offset, size, and a number of what is there.
        self._locations = np.array(locations, np.int64).reshape(-1, 4)

    def __len__(self) -> int:
        """Count the images."""
        return len(self._names)

    def name(self, index: int) -> str:
        """Name image ``index``: its address, or ``TAR/MEMBER``."""
        name = self._names[index]
        shard, offset, _, _ = self._locations[index].tolist()
        return printable(name if offset < 0 else f'{self._shards[shard]}/{name}')

    def paths(self) -> list[bytes]:
        """List the addresses, or names of members."""
        return self._names.encoded()

    def read(self, index: int) -> bytes:
        """Read image ``index``.

        OSError when that fails three times, BadImageError when it is large or short.
        """
        name = self._names[index]
        shard, offset, size, _ = self._locations[index].tolist()
        refuse_large(size)
        part = {} if offset < 0 else dict(start=offset, end=offset + size)
        data = _patient(self._shards[shard] if part else name, part)
        refuse_large(len(data))
        if part and len(data) != size:
            raise BadImageError('cut short: the shard ends inside this member')
        return data

    def checksum(self, index: int) -> int:
        """Hash what the listing said of image ``index``; 0 for one in a list."""
        return int(self._locations[index, 3])


def split_addresses(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """Part the paths of a list into local ones and addresses, each in order."""
    local: list[str] = []
    remote: list[str] = []
    for path in paths:
        (remote if is_address(path) else local).append(path)
    return local, remote


def _listed(address: str) -> Iterator[tuple[str, int, int, int]]:
    """Name, offset (-1 for a whole file), size and number of each image."""
    try:
        import fsspec

        system, path = fsspec.url_to_fs(address)
        if path.lower().endswith('.tar'):
            yield from _members(system, path)
            return
        if is_image_name(path.rpartition('/')[2]) and not glob.has_magic(path):
            files = {path: system.info(path)}
        elif glob.has_magic(path):
            files = system.glob(path, detail=True)
        else:
            files = system.find(path, detail=True)
        if not files and not system.exists(path):
            raise FileNotFoundError
    except FileNotFoundError as error:
        why = f' ({_short(error.__cause__)})' if error.__cause__ else ''
        raise FileNotFoundError(
            f'Nothing is at {printable(address)}{why}: check the address'
        ) from None
    except Exception as error:  # each driver has its own, also for no credentials
        raise ValueError(
            f'{printable(address)} cannot be read: {_short(error)}'
        ) from None
    if path in files and path.lower().endswith(_LOCAL_ALONE):
        raise ValueError(
            f'{printable(address)} cannot be read by address: folders, images and '
            'plain tars (.tar) can; copy it to a disk'
        )
    for path, info in files.items():
        if info.get('type') == 'file' and is_image_name(path.rpartition('/')[2]):
            size = info.get('size')
            yield (
                system.unstrip_protocol(path),
                _UNKNOWN,
                _UNKNOWN if size is None else size,
                _number(info),
            )


def _members(system: Any, path: str) -> Iterator[tuple[str, int, int, int]]:
    number = _number(system.info(path))
    with system.open(path, 'rb') as file, tarfile.open(fileobj=file, mode='r:') as tar:
        for member in tar:
            if member.isreg() and is_image_name(member.name.rpartition('/')[2]):
                location = member.offset_data, member.size
                yield (
                    member.name,
                    *location,
                    zlib.crc32(repr(location).encode(), number),
                )


def _number(info: dict[str, Any]) -> int:
    known = [info.get(key) for key in ('size', 'ETag', 'etag', 'LastModified', 'mtime')]
    return zlib.crc32(repr(known).encode())


def _patient(address: str, part: dict[str, int]) -> bytes:
    import fsspec

    failed = ''
    for wait in (0.0, *_WAITS):
        time.sleep(wait)
        try:
            # fsspec keeps one file system a process, so forked workers have their own.
            system, path = fsspec.url_to_fs(address)
            return system.cat_file(path, **part)
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # each driver has its own
            failed = _short(error)
    raise OSError(failed)


def _short(error: BaseException) -> str:
    text = '; '.join(line.strip() for line in str(error).strip().splitlines())
    return printable(f'{type(error).__name__}: {text[:200]}')
