"""Files and folders of weights, read without running code that they may hold."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ccmim.checkpoints.layouts import hugging_face
from ccmim.checkpoints.layouts.digest import digest
from ccmim.checkpoints.layouts.rename import Tensors
from ccmim.checkpoints.safe_load import load_file

METADATA = 'ccmim'  # the key of what we say of a file in its metadata
_WRAPPERS = ('state_dict', 'model', 'teacher', 'module')
_PREFIXES = ('module.', '_orig_mod.')


@dataclass
class Source:
    """Tensors of a file by its names, and what else it says."""

    tensors: Tensors
    left_out: dict[str, str] = field(default_factory=dict)  # other entries, and why
    layout: str | None = None  # where the file says it
    said: dict[str, Any] = field(default_factory=dict)  # of the architecture


def open_source(path: str | Path) -> Source:
    """Read a file, or a folder of Hugging Face.

    Args:
        path: A ``.safetensors`` file, one of ``torch.save``, or a folder with a
            ``config.json`` beside the weights, in one file or several.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds code or no tensors.
    """
    path = Path(path).expanduser()
    return _open_folder(path) if path.is_dir() else _open_file(path)


def _open_folder(folder: Path) -> Source:
    config = folder / 'config.json'
    files = sorted(folder.glob('model*.safetensors'))
    files = files or sorted(folder.glob('pytorch_model*.bin'))
    if not config.is_file() or not files:
        raise ValueError(
            f'{folder} is no model folder of Hugging Face: it needs config.json and '
            'model.safetensors or pytorch_model.bin'
        )
    try:
        said = hugging_face.read_config(json.loads(config.read_text(encoding='utf-8')))
    except (ValueError, AttributeError) as error:  # json raises a ValueError too
        raise ValueError(f'{folder}: {error}') from None
    source = Source({}, layout='hf', said=said)
    for file in files:
        part = _open_file(file)
        source.tensors |= part.tensors
        source.left_out |= part.left_out
    return source


def _open_file(path: Path) -> Source:
    content, metadata = _read(path)
    wrapper = next((k for k in _WRAPPERS if isinstance(content.get(k), Mapping)), None)
    inner = content[wrapper] if wrapper else content
    tensors = {_strip(k): v for k, v in inner.items() if isinstance(v, Tensor)}
    if not tensors:
        raise ValueError(f'{path} holds no tensors')
    rest = [k for k in content if k != wrapper] if wrapper else []
    rest += [k for k, v in inner.items() if not isinstance(v, Tensor)]
    source = Source(tensors, dict.fromkeys(rest, 'of the run'))
    if 'layout' in metadata:  # else it is what a run says of itself, to be resumed
        if metadata.get('sha256') != digest(tensors):
            raise ValueError(f'{path} is damaged: its tensors are not those written')
        source.layout = metadata.get('layout')
        source.said = metadata.get('architecture', {})
    return source


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    # The published pretraining codes save their command line, which is plain data.
    with torch.serialization.safe_globals([argparse.Namespace]):
        try:
            content = load_file(path)
            if path.suffix != '.safetensors':
                meta = content.get('meta')
                said = meta.get(METADATA) if isinstance(meta, dict) else None
                return content, said or {}
            with safe_open(path, 'pt') as file:
                text = (file.metadata() or {}).get(METADATA, '{}')
        except SafetensorError as error:
            raise ValueError(f'{path} is damaged or no safetensors: {error}') from None
    return content, json.loads(text)


def _strip(name: str) -> str:
    while name.startswith(_PREFIXES):
        name = name.partition('.')[2]
    return name
