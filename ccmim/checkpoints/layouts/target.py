"""Files of weights, written wholly or not at all, with what they hold said in them."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.checkpoints.layouts.architecture import Architecture
from ccmim.checkpoints.layouts.digest import digest
from ccmim.checkpoints.layouts.hugging_face import write_config
from ccmim.checkpoints.layouts.source import METADATA

ENDINGS = {'hf': ('',), 'safetensors': ('.safetensors',)}
FILE_ENDINGS = ('.safetensors', '.pth', '.pt')


def check_target(path: Path, layout: str, overwrite: bool) -> None:
    """Check that a layout can be written there.

    Raises:
        ValueError: If the path ends otherwise than its layout, or is taken.
    """
    endings = ENDINGS.get(layout, FILE_ENDINGS)
    if path.suffix not in endings:
        what = ' or '.join(endings) if any(endings) else 'no ending: it is a folder'
        raise ValueError(f'{path}: the layout {layout} wants {what}')
    if path.exists() and not overwrite:
        raise ValueError(f'{path} is there already: give --overwrite to replace it')
    if path.exists() and path.is_dir() != (layout == 'hf'):
        raise ValueError(f'{path} is there already, and no {layout} can take its place')


def write_target(
    tensors: Mapping[str, Tensor], architecture: Architecture, path: Path, layout: str
) -> str:
    """Write tensors with their layout, architecture and checksum.

    Args:
        tensors: By the names of the layout.
        architecture: Of the network that they belong to.
        path: File, or folder of Hugging Face, made as needed.
        layout: Name of the layout.

    Returns:
        The checksum of the tensors.

    Raises:
        WriteError: If it cannot be written; what was there is intact.
    """
    disk, fields = AtomicLocalBackend(), asdict(architecture)
    own = {k: v.contiguous() for k, v in tensors.items()}
    checksum = digest(own)
    said = dict(layout=layout, architecture=fields, sha256=checksum)
    if path.suffix in ('.pth', '.pt'):
        buffer = io.BytesIO()
        torch.save(dict(state_dict=own, meta={METADATA: said}), buffer)
        disk.put(buffer.getvalue(), path)
        return checksum
    content = save(own, {'format': 'pt', METADATA: json.dumps(said)})
    if layout != 'hf':
        disk.put(content, path)
        return checksum
    # The config comes last: a folder without it is no model yet.
    config = path / 'config.json'
    config.unlink(missing_ok=True)
    disk.put(content, path / 'model.safetensors')
    disk.put_text(json.dumps(write_config(fields), indent=2) + '\n', config)
    return checksum
