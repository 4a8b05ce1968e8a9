"""Write weights in another format, atomically, and verify the result."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from ccmim.checkpoints.atomic import AtomicLocalBackend
from ccmim.checkpoints.hugging_face import beside_of_hugging_face, write_config
from ccmim.checkpoints.layouts import LAYOUTS, WRITABLE
from ccmim.checkpoints.read import Weights
from ccmim.checkpoints.settle import settle
from ccmim.checkpoints.sources import METADATA, digest

ENDINGS = {'hf': ('',), 'safetensors': ('.safetensors',)}
FILE_ENDINGS = ('.safetensors', '.pth', '.pt')


def write_weights(
    weights: Weights, path: str | Path, layout: str, overwrite: bool = False
) -> list[str]:
    """Write a backbone in a layout, and read it back in thought.

    Args:
        weights: What ``read_weights`` gives.
        path: File; a folder for the layout 'hf'.
        layout: Name in ``LAYOUTS`` of one that can be written.
        overwrite: Whether a file that is there may be replaced.

    Returns:
        Lines that report what was written.

    Raises:
        ValueError: If the layout cannot hold the network, or the path is taken or ends
            otherwise than its layout.
        WriteError: If it cannot be written.
    """
    path = Path(path).expanduser()
    _, read, write, holds, build, _ = LAYOUTS[layout]
    if write is None:
        known = ', '.join(WRITABLE)
        raise ValueError(f'the layout {layout} is read, not written: take {known}')
    _check_target(path, layout, overwrite)
    if lacking := sorted(weights.architecture.parts() - set(holds)):
        raise ValueError(f'the layout {layout} cannot hold: {", ".join(lacking)}')
    tensors = write(weights.state)
    declared = dict(img_size=weights.architecture.img_size)
    back, *_ = settle(read(tensors), declared, [])
    same = back.keys() == weights.state.keys() and all(
        back[name].equal(value) for name, value in weights.state.items()
    )
    if not same:
        raise ValueError(
            f'the layout {layout} changes these weights: take another, and please '
            'report it'
        )
    checksum = _write_target(tensors, weights, path, layout)
    there = f"transformers.ViTModel.from_pretrained('{path}')"
    if build:
        there = build(weights.architecture)
    if layout == 'timm':
        arguments = ', '.join(f'{name}={value!r}' for name, value in there.items())
        there = f'timm.models.VisionTransformer({arguments})'
    return [
        f'Wrote {path}: {len(tensors)} tensors, layout {layout}; read back: 0 missing, '
        '0 unexpected, 0 changed',
        f'  sha256 of the tensors: {checksum}',
        f'Build it there: {there}',
    ]


def _check_target(path: Path, layout: str, overwrite: bool) -> None:
    """Check that a layout can be written there.

    Raises:
        ValueError: If the path ends otherwise than its layout, or is taken.
    """
    endings = ENDINGS.get(layout, FILE_ENDINGS)
    if path.suffix not in endings:
        what = ' or '.join(endings) if any(endings) else 'no ending: it is a folder'
        raise ValueError(f'{path}: the layout {layout} wants {what}; give another name')
    if path.exists() and not overwrite:
        raise ValueError(f'{path} is there already: give --overwrite to replace it')
    if path.exists() and path.is_dir() != (layout == 'hf'):
        raise ValueError(
            f'{path} is there already, and no {layout} can take its place: give '
            'another name'
        )


def _write_target(
    tensors: Mapping[str, Tensor], weights: Weights, path: Path, layout: str
) -> str:
    """Write tensors with their layout, architecture and checksum.

    Args:
        tensors: By the names of the layout.
        weights: What they were made of.
        path: File, or folder of Hugging Face, made as needed.
        layout: Name of the layout.

    Returns:
        The checksum of the tensors.

    Raises:
        WriteError: If it cannot be written; what was there is intact.
    """
    disk, fields = AtomicLocalBackend(), asdict(weights.architecture)
    own = {k: v.contiguous() for k, v in tensors.items()}
    checksum = digest(own)
    pixels = weights.pixels._asdict()
    declared = dict(layout=layout, architecture=fields, sha256=checksum, pixels=pixels)
    if path.suffix in ('.pth', '.pt'):
        buffer = io.BytesIO()
        torch.save(dict(state_dict=own, meta={METADATA: declared}), buffer)
        disk.put(buffer.getvalue(), path)
        return checksum
    content = save(own, {'format': 'pt', METADATA: json.dumps(declared)})
    if layout != 'hf':
        disk.put(content, path)
        return checksum
    # The config comes last: a folder without it is no model yet.
    config = path / 'config.json'
    config.unlink(missing_ok=True)
    disk.put(content, path / 'model.safetensors')
    for name, text in beside_of_hugging_face(fields, weights.pixels.in_units()).items():
        disk.put_text(text, path / name)
    disk.put_text(json.dumps(write_config(fields), indent=2) + '\n', config)
    return checksum
