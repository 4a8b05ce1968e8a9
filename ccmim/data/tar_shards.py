"""Images inside plain tar files, read at random."""

import os
import tarfile
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from ccmim.data.paths import LOOKED_FOR, PathTable, is_image_name, printable

_MAX_OPEN_SHARDS = 128
_COMPRESSED = {b'\x1f\x8b', b'BZ', b'\xfd7', b'\x28\xb5'}  # gzip, bzip2, xz, zstd


class TarShards:
    """Image members of plain tar files, read at random through an index.

    The headers are read once, here. Nothing is ever extracted, and members that are
    no regular files (links, devices) are left out.

    Args:
        paths: Paths of uncompressed tar files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._shards = list(paths)
        members, places = [], []
        for shard, path in enumerate(self._shards):
            for name, offset, size in _image_members(path):
                members.append(name)
                places.append((shard, offset, size))
        self._members = PathTable(members)
        self._places = np.array(places, np.int64).reshape(-1, 3)
        self._files: dict[int, IO[bytes]] = {}

    def __getstate__(self) -> dict:
        """Leave the open files behind: each process opens its own."""
        return {**self.__dict__, '_files': {}}

    def __len__(self) -> int:
        """Count the images."""
        return len(self._members)

    def name(self, index: int) -> str:
        """Name image ``index``: ``SHARD/MEMBER``, made printable."""
        shard = self._places[index, 0]
        return printable(f'{self._shards[shard]}/{self._members[index]}')

    def read(self, index: int) -> bytes:
        """Read member ``index``; OSError when the shard changed or became short."""
        shard, offset, size = self._places[index].tolist()
        file = self._files.get(shard)
        if file is None:
            if len(self._files) >= _MAX_OPEN_SHARDS:
                self._files.pop(next(iter(self._files)))
            file = open(self._shards[shard], 'rb', buffering=0)  # noqa: SIM115
            self._files[shard] = file
        # pread has no file position, so forked workers may share the descriptor.
        data = os.pread(file.fileno(), size, offset)
        if len(data) != size:
            raise OSError('the shard ends inside this member')
        return data


def _image_members(path: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, offset and size of the images in a plain tar."""
    found = 0
    try:
        with tarfile.open(path, 'r:') as shard:
            for member in shard:
                # A sparse member is not stored in one piece.
                whole = member.isreg() and not member.issparse()
                if whole and is_image_name(os.path.basename(member.name)):
                    found += 1
                    yield member.name, member.offset_data, member.size
                shard.members.clear()  # type: ignore[attr-defined]  # not needed
    except tarfile.TarError as error:
        with open(path, 'rb') as file:
            if file.read(2) in _COMPRESSED:
                raise ValueError(compressed_text(path)) from None
        raise ValueError(
            f'{printable(path)} is damaged, cut short or no tar: {error}'
        ) from None
    if not found:
        raise ValueError(f'No images in {printable(path)} ({LOOKED_FOR})')


def compressed_text(path: str) -> str:
    """Say why a compressed archive is refused and what to do instead.

    Args:
        path: The archive.

    Returns:
        One line of text.
    """
    return (
        f'{printable(path)} is compressed, so its images cannot be read at random: '
        'unpack it into a folder, or into a plain .tar (gunzip, unxz, zstd -d)'
    )
