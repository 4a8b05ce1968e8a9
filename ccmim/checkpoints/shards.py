"""Checkpoints in several files: a main one, and beside it a shard of each process.

Each parameter that is spread over processes, and each of its moments, is cut by rows
(dimension 0). ``iter_3.shards`` holds a file of each process with its rows, and
``iter_3.pth`` everything else. It is written last: without it there is no checkpoint.
The files are of ``torch.save``, with checksums, and read as safely as any other. (The
index of ``torch.distributed.checkpoint`` is a pickle that its reader executes.)
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SHARDS = '.shards'
KEY = 'shards'  # of what the main file says of the others, in its meta
Finish = Callable[[Sequence[Tensor], Tensor, str], Tensor]
_CUT = ('state_dict', 'optimizer')  # parts of a checkpoint
_DEEPEST = 3  # of dicts: optimizer, state, number
_CONTENT = {'id', 'tensors'}


def folder_of(file: str | Path) -> Path:
    """The folder of shards beside a checkpoint, whether there is one or not."""
    return Path(file).with_suffix(SHARDS)


def shard_name(rank: int, count: int) -> str:
    """Name the shard of a process."""
    return f'{rank + 1:05}-of-{count:05}.pth'


def files_of(file: str | Path) -> list[Path]:
    """List the files of a checkpoint, the main one first."""
    return [Path(file), *sorted(folder_of(file).glob('*-of-*.pth'))]


def remove_checkpoint(file: str | Path) -> None:
    """Remove a checkpoint with its shards, if it is there."""
    Path(file).unlink(missing_ok=True)
    shutil.rmtree(folder_of(file), ignore_errors=True)


def is_shard(content: Any) -> bool:
    """Whether what was read from a file is a shard."""
    return (
        isinstance(content, dict)
        and content.keys() == _CONTENT
        and isinstance(content['tensors'], dict)
    )


def stand_in(value: Tensor) -> Tensor:
    """Make what takes a spread tensor's place in the main file: its shape in NaN."""
    return (
        torch.full((), float('nan'), device='cpu').to(value.dtype).expand(value.shape)
    )


def is_stand_in(value: Tensor) -> bool:
    """Whether a tensor takes the place of one that lies in shards."""
    return value.ndim > 0 and not any(value.stride())


def fill_in(
    checkpoint: dict[str, Any],
    file: Path,
    read: Callable[[Path], Any],
    finish: Finish,
) -> None:
    """Put the rows of all shards into a checkpoint; one that has none is left as it is.

    Args:
        checkpoint: Content of the main file; changed in place.
        file: The main file.
        read: Reads a shard safely, best without copying it into memory.
        finish: Joins the rows of all shards, given with their stand-in and the part of
            the checkpoint, 'state_dict' or 'optimizer'.

    Raises:
        ValueError: If a shard is missing, damaged, or of another checkpoint.
    """
    meta = checkpoint.get('meta')
    note = meta.get(KEY) if isinstance(meta, Mapping) else None
    if note is None:
        return
    try:
        name, count, tensors = note['id'], int(note['count']), int(note['tensors'])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f'checkpoint {file} is damaged (its list of shards)') from None
    shards = []
    for rank in range(max(count, 1)):
        path = folder_of(file) / shard_name(rank, count)
        if not path.is_file():
            raise ValueError(
                f'checkpoint {file} is incomplete: {path} is missing. Copy the folder '
                f'{path.parent.name} along with {file.name}, or use an earlier one'
            )
        content = read(path)
        if not is_shard(content):
            raise ValueError(f'{path} is no shard of a checkpoint')
        if content['id'] != name or len(content['tensors']) != tensors:
            raise ValueError(f'{path} is of another checkpoint than {file}')
        shards.append(content['tensors'])
    filled = sum(
        _fill(checkpoint.get(part), part, shards, file, finish) for part in _CUT
    )
    if filled != tensors:
        raise ValueError(f'the shards of {file} are of another checkpoint')


def _fill(
    state: Any,
    path: str,
    shards: Sequence[Mapping[str, Tensor]],
    file: Path,
    finish: Finish,
) -> int:
    filled = 0
    if not isinstance(state, dict) or path.count('/') > _DEEPEST:
        return filled
    for key, value in [*state.items()]:
        where = f'{path}/{key}'
        if where in shards[0]:
            rows = [shard.get(where) for shard in shards]
            if not _fit(rows, value):
                raise ValueError(f'checkpoint {file} is damaged (the rows of {where})')
            state[key] = finish(rows, value, path.partition('/')[0])
            filled += 1
        else:
            filled += _fill(value, where, shards, file, finish)
    return filled


def _fit(rows: Sequence[Any], whole: Any) -> bool:
    """Whether rows make up a tensor; forged strides would need memory without end."""
    return (
        isinstance(whole, Tensor)
        and whole.ndim > 0
        and all(
            isinstance(one, Tensor)
            and one.layout == torch.strided
            and one.is_contiguous()
            and one.dtype == whole.dtype
            and one.ndim == whole.ndim
            and one.shape[1:] == whole.shape[1:]
            for one in rows
        )
        and sum(len(one) for one in rows) == len(whole)
    )


def rows_of(rows: Sequence[Tensor], rank: int = 0, count: int = 1) -> Tensor:
    """Copy the rows that a process holds out of those of all shards.

    Args:
        rows: Of each shard, in order; their number may be another one.
        rank: Which process.
        count: Of how many, among which rows are cut as by ``torch.chunk``.
    """
    total = sum(len(one) for one in rows)
    height = -(-total // count)
    start, stop = min(rank * height, total), min((rank + 1) * height, total)
    own, first = [], 0
    for one in rows:
        own.append(one[max(start - first, 0) : max(stop - first, 0)])
        first += len(one)
    return torch.cat(own)
