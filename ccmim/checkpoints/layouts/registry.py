"""The layouts by name: how each is recognised, read and written."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ccmim.checkpoints.layouts import beit, hugging_face, openmmlab, plain
from ccmim.checkpoints.layouts.architecture import Architecture
from ccmim.checkpoints.layouts.rename import Tensors

LAYER_SCALE, NO_NORM = 'layer scale', 'no final norm'
NO_BIAS = 'no bias of queries, keys and values'
EVERYTHING = frozenset(
    {LAYER_SCALE, NO_NORM, NO_BIAS, 'relative position bias', 'no position table'}
)


class Layout(NamedTuple):
    """A layout: patterns of keys that it has, and what is done to read and write it."""

    signs: tuple[str, ...]  # each matches a whole key
    read: Callable[[Mapping[str, Tensor]], Tensors]
    write: Callable[[Mapping[str, Tensor]], Tensors] | None = None
    holds: Collection[str] = ()  # of ``Architecture.parts``
    build: Callable[[Architecture], dict[str, Any]] | None = None  # their arguments


# In the order in which they are tried.
LAYOUTS = {
    'hf': Layout(
        (r'(vit\.)?embeddings\.patch_embeddings\.projection\.weight',),
        hugging_face.read,
        hugging_face.write,
        {NO_BIAS},
    ),
    'mmseg': Layout(
        (r'layers\.0\.attn\.attn\.in_proj_weight',),
        openmmlab.MMSEG.to_ours,
        openmmlab.MMSEG.to_theirs,
        {NO_NORM},
        openmmlab.mmseg_config,
    ),
    'mmpretrain': Layout(
        (r'layers\.0\.attn\.qkv\.weight',),
        openmmlab.MMPRETRAIN.to_ours,
        openmmlab.MMPRETRAIN.to_theirs,
        {LAYER_SCALE, NO_NORM, NO_BIAS},
        openmmlab.mmpretrain_config,
    ),
    'beit': Layout(
        (
            r'blocks\.0\.(gamma_1|attn\.(q_bias|relative_position_index))|rel_pos_bias.*',
        ),
        beit.read,
    ),
    'dinov2': Layout(
        (r'blocks\.0\.(0\.)?ls1\.gamma', r'mask_token'),
        plain.read_dinov2,
    ),
    'ccmim': Layout(
        (r'backbone\.blocks\.0\.attn\.qkv\.weight',),
        plain.same,
        plain.same,
        EVERYTHING,
        plain.our_config,
    ),
    'safetensors': Layout((), plain.same, plain.same, EVERYTHING, plain.our_config),
    'ccmim-official': Layout((r'decoder_embed\.weight', r'projector\..*'), plain.same),
    'mae': Layout((r'decoder_embed\.weight',), plain.same),
    'timm': Layout(
        (r'blocks\.0\.attn\.qkv\.weight',),
        plain.same,
        plain.same,
        {LAYER_SCALE, NO_BIAS},
        plain.timm_options,
    ),
}


READABLE = ('auto', *(name for name in LAYOUTS if name != 'safetensors'))
WRITABLE = tuple(name for name, layout in LAYOUTS.items() if layout.write)


def detect(names: Collection[str]) -> str | None:
    """Tell the layout from the names of a file's tensors, None if it is unknown."""
    return next((name for name in LAYOUTS if _has_signs(name, names)), None)


def fits(layout: str, names: Collection[str]) -> bool:
    """Tell whether names may be of a layout: those that are ours may be of several."""
    return LAYOUTS[layout].read is plain.same or _has_signs(layout, names)


def _has_signs(layout: str, names: Collection[str]) -> bool:
    signs = LAYOUTS[layout].signs
    return bool(signs) and all(any(re.fullmatch(s, n) for n in names) for s in signs)
