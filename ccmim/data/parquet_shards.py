"""Images in parquet files, in the Hugging Face hub's format."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ccmim.data.image import BadImageError, refuse_large
from ccmim.data.paths import PathTable, checksum_of_file, printable

_COLUMNS = ('image', 'img', 'jpg', 'png', 'webp')  # where several could be
_KEPT = 2  # row groups in memory, of 100 images each on the hub


class ParquetShards:
    """Rows of parquet files that hold an encoded image each, read by row group.

    The column of images holds their bytes, or a struct with ``bytes`` and perhaps a
    ``path``. A format that is packed by groups of rows has no way to a single one: to
    read an image is to read its group, of which the last two are kept.

    Args:
        paths: Paths of parquet files.

    Raises:
        ValueError: pyarrow is missing, or a file is damaged or without images.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._files = list(paths)
        self._columns: list[str] = []
        names, groups = [], []
        for number, path in enumerate(self._files):
            table = _open(path)
            column, named = _image_column(table.schema_arrow, path)
            self._columns.append(column)
            row = 0
            for group in range(table.num_row_groups):
                count = table.metadata.row_group(group).num_rows
                given = _names(table, group, named) if named else [None] * count
                names += [
                    f'{row + i}-{os.path.basename(name)}' if name else str(row + i)
                    for i, name in enumerate(given)
                ]
                groups.append((number, group, count))
                row += count
        self._names = PathTable(names)
        self._groups = np.array(groups, np.int64).reshape(-1, 3)
        self._ends = np.cumsum(self._groups[:, 2])
        if self._files and not len(self):
            raise ValueError(
                f'No images in {printable(self._files[0])}: it has no rows'
            )
        self._kept: dict[int, Any] = {}

    def __getstate__(self) -> dict:
        """Leave what was read behind."""
        return {**self.__dict__, '_kept': {}}

    def __len__(self) -> int:
        """Count the images."""
        return len(self._names)

    def name(self, index: int) -> str:
        """Name image ``index``: ``FILE/ROW``, and what the file calls it."""
        number = self._groups[self._group_of(index), 0]
        file = os.path.abspath(self._files[number])
        return printable(f'{file}/{self._names[index]}')

    def paths(self) -> list[bytes]:
        """List the rows and names, without their files."""
        return self._names.encoded()

    def read(self, index: int) -> bytes:
        """Read image ``index``.

        OSError when the file is gone, BadImageError when the row holds no image, or a
        large one, or its group is damaged.
        """
        row_group = self._group_of(index)
        start = self._ends[row_group] - self._groups[row_group, 2]
        image = self._group(row_group)[int(index - start)]
        if not image.is_valid:
            raise BadImageError('the row holds no image')
        data = image.as_buffer()
        refuse_large(len(data))
        return data.to_pybytes()

    def checksum(self, index: int) -> int:
        """Hash the file of image ``index``: one image cannot be read alone."""
        return checksum_of_file(self._files[self._groups[self._group_of(index), 0]])

    def _group_of(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f'image {index} of {len(self)}')
        return int(np.searchsorted(self._ends, index, side='right'))

    def _group(self, row_group: int) -> Any:
        images = self._kept.get(row_group)
        if images is None:
            number, group, _ = self._groups[row_group].tolist()
            images = _images(self._files[number], group, self._columns[number])
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[row_group] = images
        return images


def _open(path: str) -> Any:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(
            f'{printable(path)} needs pyarrow: pip install "ccmim[parquet]"'
        ) from None
    try:
        return ParquetFile(path, memory_map=True)
    except OSError as error:
        if error.errno:  # of the disk, not of the format
            raise
        raise ValueError(_damaged(path, error)) from None
    except ArrowException as error:
        raise ValueError(_damaged(path, error)) from None


def _image_column(schema: Any, path: str) -> tuple[str, str]:
    """Find the column of bytes, and that of their names if there is one."""
    columns = {}
    for field in schema:
        parts = {part.name: part.type for part in _parts(field.type)}
        if _is_bytes(parts.get('bytes', field.type)):
            inner = '.bytes' if 'bytes' in parts else ''
            columns[field.name] = (
                f'{field.name}{inner}',
                f'{field.name}.path' if 'path' in parts else '',
            )
    names = [name for name in _COLUMNS if name in columns] or list(columns)
    if not names or len(columns) > 1 and names[0] not in _COLUMNS:
        raise ValueError(
            f'No images in {printable(path)}: wanted is a column of bytes called '
            f'{", ".join(_COLUMNS)}, or one alone; it has {", ".join(schema.names)}'
        )
    return columns[names[0]]


def _parts(kind: Any) -> list[Any]:
    return [kind.field(i) for i in range(kind.num_fields)]


def _is_bytes(kind: Any) -> bool:
    return str(kind) in ('binary', 'large_binary')


def _names(table: Any, group: int, column: str) -> list[str | None]:
    return _flat(table.read_row_group(group, [column], use_threads=False)).to_pylist()


def _images(path: str, group: int, column: str) -> Any:
    table = _open(path)
    try:
        # Threads of a parent that was forked would be waited for in vain.
        return _flat(table.read_row_group(group, [column], use_threads=False))
    except OSError as error:
        if error.errno:
            raise
        raise BadImageError(_damaged(path, error)) from None


def _flat(table: Any) -> Any:
    column = table.column(0)
    return column.flatten()[0] if _parts(column.type) else column


def _damaged(path: str, error: Exception) -> str:
    why = printable(str(error).splitlines()[0])
    return f'{printable(path)} is damaged, cut short or no parquet: {why}'
