"""Read weights of any format into our names, accounting for every key."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ccmim.checkpoints.architecture import (
    UNSEEN,
    Architecture,
    check_tensors,
    read_architecture,
)
from ccmim.checkpoints.choose import Source
from ccmim.checkpoints.finite import fault_of_kind, refuse_nonfinite
from ccmim.checkpoints.layouts import LAYOUTS, Tensors, detect, fits
from ccmim.checkpoints.normalization import Pixels
from ccmim.checkpoints.settle import foreign_part, settle
from ccmim.checkpoints.sources import open_source
from ccmim.files import one_line
from ccmim.vit.lora import merge_lora

_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Weights:
    """A backbone read from a file.

    Args:
        state: Tensors by our names, all that ``VisionTransformer`` of the architecture
            has and no others.
        architecture: The network that they belong to.
        report: Lines that say what was read and what was left out.
        pixels: How it wants images to be normalized.
    """

    state: Tensors
    architecture: Architecture
    report: list[str]
    pixels: Pixels = Pixels()


@dataclass(frozen=True)
class RawWeights:
    """A backbone's tensors by our names, before their architecture is known."""

    state: Tensors
    grid: tuple[int, int] | None  # of the positions
    declared: dict[str, Any]  # of the architecture, by the file or the caller
    usual: dict[str, Any]  # of the layout, where neither says
    report: list[str]


def read_weights(
    path: str | Path,
    layout: str = 'auto',
    num_heads: int | None = None,
    img_size: int | list[int] | None = None,
    part: str = '',
    act: str | None = None,
) -> Weights:
    """Read a backbone of any known layout.

    Args:
        path: File, folder, ``timm:NAME`` or ``hf:OWNER/NAME``.
        layout: Name in ``LAYOUTS``; 'auto' takes it from the keys.
        num_heads: Attention heads, where neither the file nor the width says.
        img_size: Side or height and width in pixels, where the positions do not say.
        part: Which network of several, such as ``teacher.backbone`` of ConMIM, whose
            paper transfers the teacher; 'ema' for the averaged weights.
        act: Activation of the MLPs, where the file does not say and the layout's usual
            one is not it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of no known layout, of another network, or
            contradicts itself or the arguments; naming what.
    """
    given = dict(num_heads=num_heads, img_size=img_size, act=act)
    raw = find_state(path, layout, part, given)
    declared = raw.usual | raw.declared
    try:
        architecture = read_architecture(raw.state, declared, raw.grid)
        check_tensors(raw.state, architecture)
    except ValueError as error:
        raise ValueError(one_line(f'{path}: {error}')) from None
    pixels = Pixels.of(declared)
    lines = [] if pixels == Pixels() else [f'  images are normalized by {pixels}']
    lines = raw.report + _assumed(raw, architecture) + lines
    return Weights(raw.state, architecture, lines, pixels)


def find_state(
    path: str | Path, layout: str, part: str, given: Mapping[str, Any]
) -> RawWeights:
    """Read tensors by our names.

    Args:
        path: See ``read_weights``.
        layout: Likewise.
        part: Likewise.
        given: Fields of the architecture that the caller sets; None where not.
            ``grid`` is that of the network that will be filled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: In one line, if it cannot be read.
    """
    try:
        return _find_state(path, layout, part, given)
    except ValueError as error:
        raise ValueError(one_line(str(error))) from None


def _find_state(
    path: str | Path, layout: str, part: str, given: Mapping[str, Any]
) -> RawWeights:
    source = open_source(path, part)
    if source.declared.pop('lora', False):  # adapters of ours
        source.tensors = merge_lora(source.tensors)
        source.notes.append('LoRA is merged into the weights')
    chosen = _layout_of(source, layout, path)
    declared = dict(source.declared)
    notes: list[str] = []
    try:
        for name, value in given.items():
            value = list(value) if isinstance(value, tuple) else value  # as JSON has it
            if value is not None and declared.setdefault(name, value) != value:
                raise ValueError(f'it says {name}={declared[name]}, not {value}')
        _check_kinds(source.tensors)
        state, grid, left_out = settle(
            LAYOUTS[chosen].read(source.tensors), declared, notes
        )
        _check_values(state)
    except ValueError as error:
        raise ValueError(f'{path}, read as {chosen}: {error}') from None
    refuse_nonfinite(state, path)
    how = 'as asked' if layout != 'auto' else 'as its keys say'
    how = 'as it says itself' if layout == 'auto' and source.layout else how
    report = [f'Read {path}: {source.total} tensors, layout {chosen} ({how})']
    report += _list_left_out(source.left_out | left_out)
    report += [f'  {note}' for note in source.notes + notes]
    usual = dict(LAYOUTS[chosen].usual)
    if 'reg_token' in state and chosen in ('dinov2', 'hf-dinov2'):
        usual['pos_resample'] = 'antialiased'  # as both owners do with registers
    if chosen == 'timm' and 'norm_pre.weight' in state:
        usual['norm_eps'] = 1e-5  # CLIP's
    if chosen == 'hf' and 'mean' not in declared:
        report.append(
            "  images are normalized by ImageNet's mean and std: no "
            'preprocessor_config.json says otherwise'
        )
    declared = {k: v for k, v in declared.items() if v is not None and k != 'grid'}
    return RawWeights(state, grid, declared, usual, [one_line(line) for line in report])


def _layout_of(source: Source, layout: str, path: str | Path) -> str:
    names = source.tensors.keys()
    chosen = (source.layout or detect(names)) if layout == 'auto' else layout
    ours = 'blocks.0.attn.qkv.weight' in names
    if ours and (layout == 'ccmim' or (chosen, source.label) == ('timm', 'backbone')):
        return 'ccmim'
    if chosen in LAYOUTS and fits(chosen, names):
        return chosen
    first = ', '.join(list(names)[:4])
    kind = 'no known layout' if layout == 'auto' else f'another layout than {layout}'
    part = foreign_part(names)
    what = f', with {part}, which are not read' if part else ''
    raise ValueError(f'{path} is of {kind}{what}: its keys are {first}, ...')


def _check_kinds(tensors: Mapping[str, Tensor]) -> None:
    for name, value in tensors.items():
        if fault := fault_of_kind(value):
            raise ValueError(f'{name} {fault}')


def _check_values(state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        if value.dtype not in _TYPES:
            kind = str(value.dtype).removeprefix('torch.')
            what = 'complex' if value.is_complex() else 'quantized'
            raise ValueError(f'{name} is of {kind}: {what} weights are not read')


def _assumed(raw: RawWeights, architecture: Architecture) -> list[str]:
    """List the assumptions that neither the tensors nor the file state."""
    a, lines = architecture, []
    if (
        'num_heads' not in raw.declared
        and not a.rel_pos_bias
        and a.attention == 'softmax'
    ):
        lines.append(f'  {a.num_heads} heads, as usual for a width of {a.embed_dim}')
    words = dict(norm_eps='norms of eps', act='activation', rope_theta='longest period')
    lines += [
        f'  {words[name]} {getattr(a, name)}, as usual for this layout'
        for name in UNSEEN
        if name in raw.usual and name not in raw.declared and name in words
    ]
    if raw.grid and 'img_size' not in raw.declared and a.pos_embed == 'learned':
        rows, columns = raw.grid
        lines.append(f'  positions of {rows} x {columns} patches')
    if a.pos_resample != 'antialiased':
        lines.append(f'  positions are resampled as their owner does: {a.pos_resample}')
    return lines


def _list_left_out(left_out: Mapping[str, str]) -> list[str]:
    # By reason, with tensors of a kind together.
    lines = []
    for reason in dict.fromkeys(left_out.values()):
        names = [name for name, why in left_out.items() if why == reason]
        lines.append(f'  left out, {reason}: {_join(names)}')
    return lines


def _join(names: Collection[str]) -> str:
    modules: dict[str, Counter[str]] = {}
    for name in names:
        kind = re.sub(r'(?<=\.)\d+(?=\.)', '*', name)
        modules.setdefault(name.split('.')[0], Counter())[kind] += 1
    groups = []
    for module, kinds in modules.items():
        label = f'{module}.*' if len(kinds) > 1 else next(iter(kinds))
        many = kinds.total() > 1
        groups.append(f'{label} ({kinds.total()})' if many else label)
    return ', '.join(groups)
