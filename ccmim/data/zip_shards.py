"""Images in zip files, with random access."""

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from ccmim.data.image import BadImageError, refuse_large
from ccmim.data.open_files import OpenFiles
from ccmim.data.paths import (
    ARCHIVES,
    LOOKED_FOR,
    PathTable,
    checksum_of_part,
    is_image_name,
    log_message,
    printable,
)
from ccmim.data.tar_index import counted

_LOCAL_HEADER = struct.Struct('<4s22xHH')  # signature, length of the name, of the rest
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


class ZipShards:
    """Image members of zip files, stored or deflated, read at random.

    The directories at the ends are read once, here. Nothing is ever extracted.

    Args:
        paths: Paths of zip files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._shards = OpenFiles(paths)
        members, locations = [], []
        for shard, path in enumerate(paths):
            for info in _members(path):
                members.append(info.filename)
                sizes = info.compress_size, info.file_size
                locations.append(
                    (shard, info.header_offset, *sizes, info.compress_type)
                )
        self._members = PathTable(members)
        self._locations = np.array(locations, np.int64).reshape(-1, 5)

    def __len__(self) -> int:
        """Count the images."""
        return len(self._members)

    def name(self, index: int) -> str:
        """Name image ``index``: ``SHARD/MEMBER``, made printable."""
        shard = os.path.abspath(self._shards.paths[self._locations[index, 0]])
        return printable(f'{shard}/{self._members[index]}')

    def paths(self) -> list[bytes]:
        """List the names of the members, without their shards."""
        return self._members.encoded()

    def read(self, index: int) -> bytes:
        """Read member ``index``.

        OSError when the shard is gone, BadImageError when it is damaged or the member
        is large.
        """
        shard, header, packed, size, method = self._locations[index].tolist()
        refuse_large(max(packed, size))
        file = self._shards.open(shard)
        data = os.pread(file, packed, _start(file, header))
        if method == zipfile.ZIP_DEFLATED:
            try:
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
            except zlib.error:
                data = b''
        if len(data) != size:
            raise BadImageError('damaged: not what the directory of the zip says')
        return data

    def checksum(self, index: int) -> int:
        """Hash member ``index`` in its packed form; 0 when the shard is gone."""
        shard, header, packed, _, _ = self._locations[index].tolist()
        try:
            with open(self._shards.paths[shard], 'rb', buffering=0) as file:
                return checksum_of_part(file.fileno(), header, packed)
        except OSError:
            return 0


def _start(file: int, header: int) -> int:
    """Find where the data of a member begin: its own header may be longer."""
    data = os.pread(file, _LOCAL_HEADER.size, header)
    if len(data) < _LOCAL_HEADER.size or not data.startswith(b'PK\3\4'):
        raise BadImageError('damaged: the zip has no member where its directory says')
    _, name, rest = _LOCAL_HEADER.unpack(data)
    return header + _LOCAL_HEADER.size + name + rest


def _members(path: str) -> Iterator[zipfile.ZipInfo]:
    count = 0
    left_out: dict[str, list[str]] = {}
    try:
        with zipfile.ZipFile(path) as shard:
            infos = shard.infolist()
    except OSError:
        raise
    except Exception as error:  # on damaged directories nearly anything
        raise ValueError(
            f'{printable(path)} is damaged, cut short or no zip: '
            f'{printable(str(error))}; pack it again'
        ) from None
    for info in infos:
        name = info.filename.rpartition('/')[2]
        if is_image_name(name) or name.lower().endswith(ARCHIVES):
            if why := _why_not(info):
                left_out.setdefault(why, []).append(printable(info.filename))
            else:
                count += 1
                yield info
    if left_out:
        log_message(f'{printable(path)}: left out are {counted(left_out)}')
    if not count:
        kinds = f', and left out are {counted(left_out)}' if left_out else ''
        raise ValueError(f'No images in {printable(path)} ({LOOKED_FOR}){kinds}')


def _why_not(info: zipfile.ZipInfo) -> str:
    if info.filename.lower().endswith(ARCHIVES):
        return 'that is an archive'
    if info.filename.startswith('/') or '..' in info.filename.split('/'):
        return 'with an absolute or parent path'
    if info.flag_bits & _ENCRYPTED:
        return 'that is encrypted'
    return '' if info.compress_type in _KNOWN else 'that is neither stored nor deflated'
