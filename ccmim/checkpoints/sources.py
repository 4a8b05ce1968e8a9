"""Find weights and read them, without executing code.

A file, a folder, ``timm:NAME`` or ``hf:OWNER/NAME``; from caches without a network.
"""

import argparse
import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from ccmim.checkpoints.choose import Source, choose_network
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
_PATTERNS = ['config.json', '*.safetensors', '*.safetensors.index.json', '*.bin']


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
    path, declared = find_weights(weights)
    if path.is_dir():
        files, config = _files_of(path)
        stated = _declared_by(config)
    else:
        files, config = [path], path.with_name('config.json')
        stated = {}
        with suppress(ValueError, OSError):  # of something else
            stated = _declared_by(config)
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
    source.layout = metadata.get('layout')
    own = metadata.get('architecture') or source.declared
    if path.is_dir():  # whose config.json comes first, and knows no resampling of ours
        source.declared = own | {k: v for k, v in stated.items() if k != 'pos_resample'}
        source.declared.setdefault('pos_resample', stated.get('pos_resample'))
    else:
        source.declared = stated | own
    source.declared |= declared
    source.declared |= pixels_of_run(content) or metadata.get('pixels') or {}
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
        config = timm.get_pretrained_cfg(name, allow_unregistered=False)
        if config is None or not config.hf_hub_id:
            raise ValueError(f'{text}: timm has no weights of this name')
        declared = read_config(dict(architecture=name.partition('.')[0]))
        declared |= declared_pixels(dict(mean=config.mean, std=config.std))
        return _snapshot(config.hf_hub_id, text), declared
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


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of names, types, shapes and values, in order of the names."""
    total = sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _snapshot(repository: str, name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        with suppress(OSError, ValueError):
            folder = Path(
                snapshot_download(
                    repository, local_files_only=True, allow_patterns=_PATTERNS
                )
            )
            if _holds_weights(folder):
                return folder
        return Path(snapshot_download(repository, allow_patterns=_PATTERNS))
    except HFValidationError:
        raise ValueError(f'{name}: write it as hf:OWNER/NAME') from None
    except Exception as error:  # whatever the network's libraries raise
        raise ValueError(
            f'{name} is in no cache (HF_HOME) and cannot be downloaded '
            f'({type(error).__name__}): connect, copy the cache from a machine that '
            'is, or give a file'
        ) from None


def _holds_weights(folder: Path) -> bool:
    return any(folder.glob('*.safetensors')) or any(folder.glob('*.bin'))


def _files_of(folder: Path) -> tuple[list[Path], Path]:
    config = folder / 'config.json'
    index = next(iter(sorted(folder.glob('*.index.json'))), None)
    if index is not None and not any((folder / name).is_file() for name in _FILES):
        try:
            names = sorted(set(json.loads(index.read_text())['weight_map'].values()))
        except (ValueError, KeyError, AttributeError):
            raise ValueError(
                f'{index} is damaged or no index of weights: copy it again'
            ) from None
        files = [folder / Path(name).name for name in names]
        for file in files:
            if not file.is_file():
                raise ValueError(
                    f'{folder} lacks {file.name}, which {index.name} names: copy all '
                    'of them'
                )
    else:
        files = [folder / name for name in _FILES if (folder / name).is_file()][:1]
        files = files or sorted(folder.glob('model*.safetensors'))
    if not config.is_file() or not files:
        raise ValueError(
            f'{folder} is no model folder of Hugging Face: it needs config.json and '
            'model.safetensors or pytorch_model.bin'
        )
    return files, config


def _declared_by(config: Path) -> dict[str, Any]:
    try:
        content = json.loads(config.read_text(encoding='utf-8'))
        return read_config(content) | declared_pixels(content, config.parent)
    except (ValueError, AttributeError, TypeError) as error:  # json's are ValueErrors
        raise ValueError(f'{config.parent}: {error}') from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file: its content, and what we declared when we wrote it."""
    if is_safetensors(path):
        content: dict[str, Any] = load_file(path)
        with safe_open(path, 'pt') as file:
            text = (file.metadata() or {}).get(METADATA, '{}')
        return content, json.loads(text)
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
