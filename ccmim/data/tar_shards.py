"""Images in plain tar files, with random access."""

import os
from collections.abc import Sequence

import numpy as np

from ccmim.data.image import BadImageError, refuse_large
from ccmim.data.open_files import OpenFiles
from ccmim.data.paths import PathTable, checksum_of_part, printable
from ccmim.data.tar_index import image_members


class TarShards:
    """Image members of plain tar files, read at random through an index.

    The headers are read once, here. Nothing is ever extracted, so a name cannot
    choose where something is written; absolute and parent paths are left out all the
    same, as are members that are no regular files (links, devices).

    Args:
        paths: Paths of uncompressed tar files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._shards = OpenFiles(paths)
        members, positions = [], []
        for shard, path in enumerate(paths):
            for name, offset, size in image_members(path):
                members.append(name)
                positions.append((shard, offset, size))
        self._members = PathTable(members)
        self._positions = np.array(positions, np.int64).reshape(-1, 3)

    def __len__(self) -> int:
        """Count the images."""
        return len(self._members)

    def name(self, index: int) -> str:
        """Name image ``index``: ``SHARD/MEMBER``, made printable."""
        shard = os.path.abspath(self._shards.paths[self._positions[index, 0]])
        return printable(f'{shard}/{self._members[index]}')

    def paths(self) -> list[bytes]:
        """List the names of the members, without their shards."""
        return self._members.encoded()

    def read(self, index: int) -> bytes:
        """Read member ``index``.

        OSError when the shard is gone, BadImageError when it became short or the member
        is large.
        """
        shard, offset, size = self._positions[index].tolist()
        refuse_large(size)
        data = os.pread(self._shards.open(shard), size, offset)
        if len(data) != size:
            raise BadImageError('cut short: the shard ends inside this member')
        return data

    def checksum(self, index: int) -> int:
        """Hash member ``index``; 0 when the shard is gone."""
        shard, offset, size = self._positions[index].tolist()
        try:
            with open(self._shards.paths[shard], 'rb', buffering=0) as file:
                return checksum_of_part(file.fileno(), offset, size)
        except OSError:
            return 0
