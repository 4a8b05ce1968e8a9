"""Read checkpoints without executing code that they may contain."""

import os
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as load_tensors
from torch import Tensor

from ccmim.checkpoints.finite import refuse_nonfinite
from ccmim.checkpoints.plain_pickle import allowed, made_real
from ccmim.checkpoints.shards import fill_in, is_shard, rows_of
from ccmim.renamed import rename_weights

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

TRUST = 'CCMIM_TRUST_CHECKPOINT'
_MARKS = {
    b'\xff\xd8\xff': 'a JPEG image',
    b'\x89PNG': 'a PNG image',
    b'\x89HDF': 'an HDF5 file (Keras)',
    b'\x1f\x8b': 'a gzip archive',
    b'<': 'an HTML or XML page (a failed download?)',
    b'version https://git-lfs': 'a pointer of Git LFS (git lfs pull fetches the file)',
    b'{': 'a JSON text',
}
# What the reader of pickles raises on files of another kind, such as texts.
_NO_PICKLE = (KeyError, IndexError, ValueError, TypeError, AttributeError)


def load_file(
    file: str | Path, map_location: Any = 'cpu', mesh: 'DeviceMesh | None' = None
) -> dict[str, Any]:
    """Read a checkpoint: tensors, plain values and mmengine's own history, no code.

    mmengine's loader falls back to unrestricted unpickling when the safe one fails,
    and its ``resume`` and its inferencers execute config texts found in ``meta``; here
    nothing is unpickled into code, and those texts are dropped.
    Setting the environment variable ``CCMIM_TRUST_CHECKPOINT=1`` unpickles anything:
    only for files that you made yourself.

    Args:
        file: A ``.safetensors`` file or one written by ``torch.save``.
        map_location: Where tensors go, as in ``torch.load``.
        mesh: Over which the moments that lie in shards are spread again, each process
            reading its own rows; by default all tensors are whole, as weights always.

    Returns:
        What the file holds, and its shards.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, no checkpoint, or holds code.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    if is_safetensors(path):
        try:
            return load_tensors(path)
        except SafetensorError as error:
            raise ValueError(
                f'{path} is damaged or no safetensors: {_short(error)}'
            ) from None
    checkpoint = _unpickle(path, map_location)
    if not isinstance(checkpoint, dict):
        kind = type(checkpoint).__name__
        raise ValueError(f'checkpoint {path} holds a {kind}, not a dict of weights')
    if is_shard(checkpoint):
        main = path.parent.with_suffix('.pth')
        raise ValueError(f'{path} is a shard of a checkpoint: give {main}')
    fill_in(
        checkpoint,
        path,
        lambda shard: _unpickle(shard, 'cpu', mmap=True),
        lambda rows, whole, part: (
            _spread(rows, whole, mesh)
            if mesh and part == 'optimizer'
            else rows_of(rows).to(whole.device)
        ),
    )
    _check_keys(checkpoint, path)
    rename_weights(checkpoint)
    if isinstance(meta := checkpoint.get('meta'), dict):
        meta.pop('config', None)
        # Under a name that nobody executes: a resumed run compares its values.
        text = meta.pop('cfg', None)
        if isinstance(text, str):
            meta['config_text'] = text
    return checkpoint


def _unpickle(path: Path, map_location: Any, **options: Any) -> Any:
    if kind := _other_kind(path):
        raise ValueError(f'{path} is {kind}, no checkpoint')
    try:
        if os.environ.get(TRUST) == '1':
            return torch.load(path, map_location, weights_only=False, **options)
        with torch.serialization.safe_globals(allowed()):
            content = torch.load(path, map_location, weights_only=True, **options)
        return made_real(content)
    except (pickle.UnpicklingError, *_NO_PICKLE) as error:
        raise ValueError(
            f'checkpoint {path} holds code or is no checkpoint ({_short(error)}); '
            f'refused. Set {TRUST}=1 only if you made the file yourself'
        ) from None
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(
            f'checkpoint {path} is damaged ({_short(error)}): copy it again, or use '
            'an earlier one'
        ) from None


def _spread(rows: Sequence[Tensor], whole: Tensor, mesh: 'DeviceMesh') -> Tensor:
    from torch.distributed.tensor import DTensor, Shard

    return DTensor.from_local(
        rows_of(rows, mesh.get_local_rank(), mesh.size()),
        mesh,
        [Shard(0)],
        shape=whole.shape,
        stride=torch.empty(whole.shape, device='meta').stride(),
    )


def is_safetensors(path: str | Path) -> bool:
    """Return whether a file is in safetensors format, whatever its name."""
    path = Path(path)
    with path.open('rb') as file:
        start = file.read(9)
    return path.suffix == '.safetensors' or (
        start[8:] == b'{' and int.from_bytes(start[:8], 'little') < path.stat().st_size
    )


def guard_mmengine(mesh: 'DeviceMesh | None' = None) -> None:
    """Make mmengine read all files, also on resume, through ``load_file``.

    Weights that are not finite are refused.

    Args:
        mesh: See ``load_file``.
    """
    from mmengine.runner import checkpoint as mmengine_checkpoint

    loader = mmengine_checkpoint.CheckpointLoader

    def load(file: str | Path, map_location: Any = 'cpu', **_: Any) -> Any:
        return _load_weights(file, map_location, mesh)

    loader.register_scheme(prefixes='', loader=load, force=True)
    # Its loaders of other addresses end in one of these.
    mmengine_checkpoint._safe_torch_load = load
    mmengine_checkpoint.load_url = _load_url


def _load_weights(
    file: str | Path, map_location: Any = 'cpu', mesh: 'DeviceMesh | None' = None
) -> Any:
    checkpoint = load_file(file, map_location, mesh)
    refuse_nonfinite(checkpoint.get('state_dict', checkpoint), file)
    return checkpoint


def is_zip(path: Path) -> bool:
    """Whether a file is a zip archive that can be opened, as ``torch.save`` writes."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # the end of one that is in several parts
        return False


def _other_kind(path: Path) -> str:
    """Name what a file is that begins as files of another kind do."""
    with path.open('rb') as file:
        start = file.read(64)
    kind = next((kind for mark, kind in _MARKS.items() if start.startswith(mark)), '')
    if not kind and is_zip(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except Exception:  # a damaged archive may raise anything; its reader says so
            return ''
        if any(name.endswith(('/constants.pkl', '/code/')) for name in names):
            return 'a TorchScript program (save the state_dict() of its model instead)'
        if not any(name.endswith('data.pkl') for name in names):
            return 'an archive'
    return kind


def _load_url(
    url: str, model_dir: str | None = None, map_location: Any = 'cpu', **_: Any
) -> dict[str, Any]:
    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    file = folder / Path(urlparse(url).path).name
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file))
    return _load_weights(file, map_location)


def _check_keys(checkpoint: dict[Any, Any], path: Path) -> None:
    parts = [checkpoint]
    parts += [checkpoint.get(k) for k in ('state_dict', 'model', 'meta', 'message_hub')]
    for part in parts:
        for key in part if isinstance(part, dict) else ():
            if not isinstance(key, str):
                raise ValueError(
                    f'checkpoint {path} calls something {ascii(key)[:40]}: its names '
                    'must be texts'
                )


def _short(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    for marker in ('WeightsUnpickler error: ', 'Unsupported global: ', 'GLOBAL '):
        text = text.split(marker, 1)[-1]
    # Names come from the file.
    return text.split('\n')[0][:100].encode('unicode_escape').decode()
