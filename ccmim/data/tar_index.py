"""Locate the images in a plain tar file, without trusting its headers."""

import io
import os
import tarfile
from collections.abc import Iterator

from ccmim.data.paths import ARCHIVES, LOOKED_FOR, is_image_name, log_message, printable

_COMPRESSED = {b'\x1f\x8b', b'BZ', b'\xfd7', b'\x28\xb5'}  # gzip, bzip2, xz, zstd
_LONGEST_HEADER = 2**20  # of a long name, or of extended attributes
_PADDING = 2**20  # zeros at the end: 10 kB as a rule


def image_members(path: str) -> Iterator[tuple[str, int, int]]:
    """Find the images in a plain tar, by its headers, and in the plain tars within it.

    So lie ImageNet's in ILSVRC2012_img_train.tar: one tar for each class. Members with
    absolute or parent paths, those that are no regular files, and archives that cannot
    be read in place are left out, with one warning that counts them. Whatever a header
    claims, no more than it is read into memory, and never backwards.

    Args:
        path: The tar file.

    Yields:
        Name, offset and size in bytes of each image; it lies within the file.

    Raises:
        ValueError: It is compressed, damaged, cut short, no tar, or without images.
    """
    count = 0
    left_out: dict[str, list[str]] = {}
    for name, start, size, why in _members(path):
        if why:
            left_out.setdefault(why, []).append(printable(name))
            continue
        inner = _members(path, name, start, size) if _is_tar(name) else ()
        for deep_name, deep_start, deep_size, why in inner:
            if _is_tar(deep_name):
                why = why or 'that is a tar in a tar in a tar'
            if why:
                left_out.setdefault(why, []).append(printable(f'{name}/{deep_name}'))
                continue
            count += 1
            yield f'{name}/{deep_name}', deep_start, deep_size
        if not _is_tar(name):
            count += 1
            yield name, start, size
    if left_out:
        log_message(f'{printable(path)}: left out are {counted(left_out)}')
    if not count:
        kinds = f', and left out are {counted(left_out)}' if left_out else ''
        raise ValueError(f'No images in {printable(path)} ({LOOKED_FOR}){kinds}')


def _members(
    path: str, inside: str = '', start: int = 0, size: int | None = None
) -> Iterator[tuple[str, int, int, str]]:
    """List images and archives of a tar, or of a part of the file that is one.

    Yields:
        Name, offset in the file and size of each; why it is left out, if it is.
    """
    label = f'{path}/{inside}' if inside else path
    with _Headers(path, start, size) as headers:
        try:
            with tarfile.open(fileobj=headers, mode='r:') as shard:
                for member in shard:
                    shard.members.clear()  # type: ignore[attr-defined]  # not needed
                    name = member.name.rpartition('/')[2]
                    if not is_image_name(name) and not _is_archive(name):
                        continue
                    location = start + member.offset_data, member.size
                    yield member.name, *location, _why_not(member)
                end = shard.offset  # type: ignore[attr-defined]
        # On damaged headers tarfile raises nearly anything, RecursionError too.
        except OSError:
            raise
        except Exception as error:
            raise ValueError(_damaged(label, headers, str(error))) from None
        _check_end(label, headers, end)


def compressed_text(path: str) -> str:
    """Explain why a compressed archive is refused and what to do instead.

    Args:
        path: The archive.

    Returns:
        One line of text.
    """
    return (
        f'{printable(path)} is compressed, so its images cannot be read at random: '
        'unpack it into a folder, or into a plain .tar (gunzip, unxz, zstd -d)'
    )


class _Headers(io.FileIO):
    """A file, or a part of one, that is passed once, in small pieces.

    A damaged header may claim to be longer than the memory, or that the next one lies
    before it, which older versions of tarfile follow for ever, or beyond the end.
    """

    def __init__(self, path: str, start: int = 0, size: int | None = None) -> None:
        super().__init__(path)
        self._start = start
        self._size = os.fstat(self.fileno()).st_size if size is None else size
        self.jump(0)

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f'a header of {size} bytes')
        return super().read(min(size, self._size - self.tell()))

    def tell(self) -> int:
        return super().tell() - self._start

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence or not self.tell() <= offset <= self._size:
            raise tarfile.ReadError('a member that ends outside of the file')
        return self.jump(offset)

    def jump(self, offset: int) -> int:
        return super().seek(self._start + offset) - self._start


def _is_archive(name: str) -> bool:
    return not name.startswith('.') and name.lower().endswith(ARCHIVES)


def _is_tar(name: str) -> bool:
    return name.lower().endswith('.tar')


def _why_not(member: tarfile.TarInfo) -> str:
    if member.name.startswith('/') or '..' in member.name.split('/'):
        return 'with an absolute or parent path'
    if _is_archive(member.name) and not _is_tar(member.name):
        return 'that is a compressed archive'
    # A sparse member is not stored in one piece.
    whole = member.isreg() and not member.issparse()
    return '' if whole else 'that is no regular file'


def _check_end(path: str, headers: _Headers, end: int) -> None:
    """Return the end of a tar from a header that tarfile takes for it."""
    headers.jump(end)
    rest = headers.read(_PADDING)
    if rest.strip(b'\0'):
        raise ValueError(_damaged(path, headers, f'no header at byte {end}'))
    if not rest:
        log_message(f'{printable(path)} has no end mark: it may have been cut short')


def _damaged(path: str, headers: _Headers, why: str) -> str:
    headers.jump(0)
    if headers.read(2) in _COMPRESSED:
        return compressed_text(path)
    return (
        f'{printable(path)} is damaged, cut short or no tar: {printable(why)}; '
        'pack it again'
    )


def counted(left_out: dict[str, list[str]]) -> str:
    """Report how many members are left out, why, and the first names.

    Args:
        left_out: The printable names by reason.

    Returns:
        One line.
    """
    return '; '.join(
        f'{len(names)} {why} ({", ".join(names[:3])}{", ..." if names[3:] else ""})'
        for why, names in left_out.items()
    )
