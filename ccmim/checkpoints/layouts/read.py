"""From a file in any layout to our names, with a report of every key."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ccmim.checkpoints.layouts.architecture import (
    Architecture,
    check_tensors,
    read_architecture,
)
from ccmim.checkpoints.layouts.hugging_face import NORM_EPS
from ccmim.checkpoints.layouts.parts import split_off_backbone
from ccmim.checkpoints.layouts.registry import LAYOUTS, detect, fits
from ccmim.checkpoints.layouts.rename import Tensors
from ccmim.checkpoints.layouts.source import open_source


@dataclass(frozen=True)
class Weights:
    """A backbone read from a file.

    Args:
        state: Tensors by our names, all that ``VisionTransformer`` of the architecture
            has and no others.
        architecture: What they are the weights of.
        report: Lines that say what was read and what was left out.
    """

    state: Tensors
    architecture: Architecture
    report: list[str]


def read_weights(
    path: str | Path,
    layout: str = 'auto',
    num_heads: int | None = None,
    img_size: int | list[int] | None = None,
    part: str = '',
) -> Weights:
    """Read a backbone from a file of any known layout.

    Args:
        path: File, or folder of Hugging Face.
        layout: Name in ``LAYOUTS``; 'auto' tells it from the keys.
        num_heads: Attention heads, where neither the file nor the width tells.
        img_size: Side or height and width in pixels, where the positions do not tell.
        part: Module of a run that is a backbone too, such as ``slow.backbone`` of
            ConMIM, whose paper transfers the slow network.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of no known layout, of another network, or
            contradicts itself or the arguments; naming what.
    """
    source = open_source(path)
    if part and not any(name.startswith(f'{part}.') for name in source.tensors):
        parts = sorted({name.partition('.')[0] for name in source.tensors})
        raise ValueError(f'{path} has no part {part}: it is of {", ".join(parts)}')
    inside, left_out = _backbone_of_model(source.tensors, part)
    names = source.tensors.keys() | inside.keys()
    chosen = (source.layout or detect(names)) if layout == 'auto' else layout
    if chosen not in LAYOUTS or not fits(chosen, names):
        first = ', '.join(list(source.tensors)[:4])
        kind = (
            'no known layout' if layout == 'auto' else f'another layout than {layout}'
        )
        raise ValueError(f'{path} is of {kind}: its keys are {first}, ...')
    given = dict(num_heads=num_heads, img_size=img_size)
    said = dict(source.said)
    if chosen == 'hf':
        said.setdefault('norm_eps', NORM_EPS)
    try:
        for name, value in given.items():
            if value is None:
                continue
            if said.setdefault(name, value) != value:
                raise ValueError(f'it says {name}={said[name]}, not {value}')
        state, more = split_off_backbone(LAYOUTS[chosen].read(inside))
        architecture = read_architecture(state, said)
        check_tensors(state, architecture)
    except ValueError as error:
        raise ValueError(f'{path}, read as {chosen}: {error}') from None
    how = 'as asked' if layout != 'auto' else 'as its keys say'
    how = 'as it says itself' if layout == 'auto' and source.layout else how
    report = [f'Read {path}: {len(source.tensors)} tensors, layout {chosen} ({how})']
    report += _list_left_out(source.left_out | left_out | more)
    if 'num_heads' not in said and not architecture.rel_pos_bias:
        heads, width = architecture.num_heads, architecture.embed_dim
        report.append(f'  {heads} heads, as usual for a width of {width}')
    return Weights(state, architecture, report)


def _backbone_of_model(
    tensors: Mapping[str, Tensor], part: str
) -> tuple[Tensors, dict[str, str]]:
    prefix = f'{part or "backbone"}.'
    outside = [name for name in tensors if not name.startswith(prefix)]
    if len(outside) == len(tensors):
        return dict(tensors), {}
    inside = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    return inside, dict.fromkeys(outside, f'not of {part or "the backbone"}')


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
