"""Find weights and read them, without executing code.

A file, a folder, ``timm:NAME`` or ``hf:OWNER/NAME``; from caches without a network.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from ccmim.checkpoints.choose import Source, choose_network
from ccmim.checkpoints.declared import ODD, check_declared, declared_beside
from ccmim.checkpoints.hugging_face import read_config
from ccmim.checkpoints.layouts import Tensors
from ccmim.checkpoints.normalization import declared_pixels, pixels_of_run
from ccmim.checkpoints.safe_load import is_safetensors, is_zip, load_file
from ccmim.checkpoints.shards import SHARDS, files_of
from ccmim.checkpoints.verify import verify_archive
from ccmim.renamed import new_part

METADATA = 'ccmim'  # the key of what we say of a file in its metadata
NAMED = ('timm:', 'hf:')
SUFFIXES = ('.pth', '.pt', '.safetensors', '.ckpt', '.bin')
_FILES = ('model.safetensors', 'pytorch_model.bin', 'open_clip_pytorch_model.bin')
_BESIDE = ('config.json', 'preprocessor_config.json')  # the second normalizes images
_SECONDS = 10.0  # until a hub that does not answer is given up


def open_source(weights: str | Path, part: str = '') -> Source:
    """Read the tensors of a network, and what its file declares.

    Args:
        weights: A file of ``torch.save``, a ``.safetensors`` file, a folder of
            transformers, timm or a hub with ``config.json`` beside the weights in one
            file or several; ``timm:NAME`` or ``hf:OWNER/NAME``.
        part: Which network of several; 'ema' for the averaged one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds code or no tensors, or has no such part.
    """
    try:
        return _open_source(weights, part)
    except ODD as error:
        kind = type(error).__name__
        raise ValueError(
            f'{weights} holds odd values, or is nested too deeply ({kind}: '
            f'{error!s:.60}): copy it again'
        ) from None


def _open_source(weights: str | Path, part: str) -> Source:
    path, declared = find_weights(weights)
    if path.is_dir():
        files, config = _files_of(path)
        stated = declared_beside(config)
    else:
        files, config = [path], path.with_name('config.json')
        stated = {}
        with suppress(ValueError, OSError):  # of something else
            stated = declared_beside(config)
    content: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for file in files:
        more, metadata = _read(file)
        content = content | more if content else more  # which keeps what more notes
    source = choose_network(content, new_part(part), path)
    if 'layout' in metadata and metadata.get('sha256') != digest(
        _flat_tensors(content)
    ):
        raise ValueError(
            f'{path} is damaged: its tensors are not those written: copy it again'
        )
    source.layout = str(metadata['layout']) if metadata.get('layout') else None
    own = metadata.get('architecture') or source.declared
    try:
        own = check_declared(own)
        pixels = check_declared(metadata.get('pixels') or {})
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None
    if path.is_dir():  # whose config.json comes first, and knows no resampling of ours
        source.declared = own | {k: v for k, v in stated.items() if k != 'pos_resample'}
        source.declared.setdefault('pos_resample', stated.get('pos_resample'))
    else:
        source.declared = stated | own
    source.declared |= declared
    source.declared |= pixels_of_run(content) or pixels
    return source


def find_weights(weights: str | Path) -> tuple[Path, dict[str, Any]]:
    """Find the file or folder that a name stands for, and what the name says of it."""
    text = str(weights)
    if text.startswith('timm:'):
        import timm

        name = text.removeprefix('timm:')
        if not timm.is_model(name.partition('.')[0]):
            near = timm.list_models(f'*{name.partition(".")[0][:12]}*')[:3]
            meant = f': did you mean {", ".join(near)}?' if near else ''
            raise ValueError(f'{text}: timm has no such model{meant}')
        try:
            config = timm.get_pretrained_cfg(name)
        except RuntimeError:  # another tag
            config = None
        if config is None or not config.hf_hub_id:
            known = timm.list_pretrained(f'{name.partition(".")[0]}.*')
            meant = f': there are {", ".join(known)}' if known else ''
            raise ValueError(f'{text}: timm has no weights of this name{meant}')
        declared = read_config(dict(architecture=name.partition('.')[0]))
        declared |= declared_pixels(dict(mean=config.mean, std=config.std))
        folder = _snapshot(config.hf_hub_id, text)
        if not (folder / 'config.json').is_file():  # timm itself downloads none
            return _weights_in(folder)[0], declared
        return folder, declared
    if text.startswith('hf:'):
        return _snapshot(text.removeprefix('hf:'), text), {}
    path = Path(weights).expanduser()
    if path.suffix == SHARDS:
        path = path.with_suffix('.pth')  # which holds the rest
    if not path.exists():
        raise FileNotFoundError(
            f'checkpoint {path} does not exist (weights are a file, a folder, '
            'timm:NAME or hf:OWNER/NAME)'
        )
    return path, {}


def is_weights(text: str | Path) -> bool:
    """Return whether a word names weights rather than a model or a config."""
    path = Path(text).expanduser()
    return (
        str(text).startswith(NAMED)
        or path.suffix in SUFFIXES
        or path.is_dir()
        or (path.is_file() and path.suffix != '.py')  # caches name files by digests
    )


def name_of_weights(weights: str | Path) -> str:
    """Name weights as a file or folder of results can be called.

    Args:
        weights: See ``open_source``.

    Returns:
        The name of a file without its ending; all of ``timm:NAME`` and
        ``hf:OWNER/NAME``, whose dots and owners tell networks apart.
    """
    text, path = str(weights), Path(weights).expanduser().absolute()
    if text.startswith(NAMED):
        return text.replace(':', '_').replace('/', '_')
    return path.name if path.is_dir() else path.stem


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of names, types, shapes and values, in order of the names."""
    total = sha256()
    for name in sorted(tensors):
        value = tensors[name].cpu().contiguous()
        total.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _snapshot(repository: str, name: str) -> Path:
    """Find the folder of a repository in the cache, or download what is needed."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        if folder := _cached(repository):
            return folder
        # snapshot_download waits for good for a hub that does not answer.
        info = HfApi().model_info(repository, timeout=_SECONDS)
        files = _needed([file.rfilename for file in info.siblings or ()])
        return Path(snapshot_download(repository, allow_patterns=files))
    except HFValidationError:
        raise ValueError(f'{name}: write it as hf:OWNER/NAME') from None
    except Exception as error:  # whatever the network's libraries raise
        kind = type(error).__name__
        remedy = _REMEDIES.get(kind, _NO_HUB).format(
            kind=kind, url=f'https://huggingface.co/{repository}'
        )
        raise ValueError(
            f'{name} is not in the cache (HF_HOME), and {remedy}'
        ) from None


_NO_HUB = (
    'the hub does not answer ({kind}): connect, copy the cache from a machine that has '
    'it, or give a file'
)
_REMEDIES = {
    'OfflineModeIsEnabled': 'HF_HUB_OFFLINE forbids a download: unset it, copy the '
    'cache from a machine that has it, or give a file',
    'GatedRepoError': 'its owner wants terms to be accepted: do so at {url}, then run '
    'hf auth login',
    'RepositoryNotFoundError': '{url} does not exist, or is private: check the name, '
    'or run hf auth login',
}


def _cached(repository: str) -> Path | None:
    """Find what a cache has, by whichever library it came: of timm weights alone."""
    from huggingface_hub import try_to_load_from_cache

    for name in (*_FILES, *(f'{name}.index.json' for name in _FILES)):
        if isinstance(file := try_to_load_from_cache(repository, name), str):
            with suppress(ValueError):  # a shard is missing
                _weights_in(folder := Path(file).parent)
                return folder
    return None


def _needed(files: Sequence[str]) -> list[str]:
    """Choose the files of a repository to download: one set of weights, not all."""
    weights = [name for name in _FILES if name in files][:1]
    if not weights:
        sets = (
            ('.safetensors', '.safetensors.index.json'),
            ('.bin', '.bin.index.json'),
        )
        found = ([f for f in files if f.endswith(ends)] for ends in sets)
        weights = next((names for names in found if names), [])
    return [*weights, *_BESIDE]


def _files_of(folder: Path) -> tuple[list[Path], Path]:
    files, config = _weights_in(folder), folder / 'config.json'
    if not config.is_file() or not files:
        raise ValueError(
            f'{folder} is no model folder of Hugging Face: it needs config.json and '
            'model.safetensors or pytorch_model.bin'
        )
    return files, config


def _weights_in(folder: Path) -> list[Path]:
    index = next(iter(sorted(folder.glob('*.index.json'))), None)
    if index is None or any((folder / name).is_file() for name in _FILES):
        files = [folder / name for name in _FILES if (folder / name).is_file()][:1]
        return files or sorted(folder.glob('model*.safetensors'))
    try:
        names = sorted(set(json.loads(index.read_text())['weight_map'].values()))
        files = [folder / Path(name).name for name in names]
    except (ValueError, *ODD):
        raise ValueError(
            f'{index} is damaged or no index of weights: copy it again'
        ) from None
    for file in files:
        if not file.is_file():
            raise ValueError(
                f'{folder} lacks {file.name}, which {index.name} names: copy all of '
                'them'
            )
    return files


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file: its content, and what we declared when we wrote it."""
    if is_safetensors(path):
        content: dict[str, Any] = load_file(path)
        with safe_open(path, 'pt') as file:
            text = (file.metadata() or {}).get(METADATA, '{}')
        try:
            declared = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(
                f'{path} is damaged: its metadata are no JSON: copy it again'
            ) from None
        return content, declared if isinstance(declared, dict) else {}
    # The published pretraining codes save their command line, which is plain data.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = load_file(path)
    if is_zip(path):
        for file in files_of(path):
            verify_archive(file)
    meta = content.get('meta')
    declared = meta.get(METADATA) if isinstance(meta, dict) else None
    return content, declared if isinstance(declared, dict) else {}


def _flat_tensors(content: Mapping[str, Any]) -> Tensors:
    inner = content.get('state_dict', content)
    return {k: v for k, v in inner.items() if isinstance(v, Tensor)}
