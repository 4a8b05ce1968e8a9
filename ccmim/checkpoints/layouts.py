"""The formats by name: how each is recognized, read and written.

A layout's ``read`` renames to our names what it knows and leaves the rest, its
``write`` goes back. What several have in common (queries, keys and values apart, absent
biases, tokens without a position) is settled in ``settle.py``.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ccmim.checkpoints.architecture import Architecture
from ccmim.checkpoints.owner_configs import (
    mmpretrain_config,
    mmseg_config,
    our_config,
    timm_options,
)
from ccmim.checkpoints.renamings import (
    CLIP,
    DINO,
    DINOV2_GATED,
    DINOV2_HF,
    DINOV2_MEMORY,
    DINOV3,
    DINOV3_HF,
    EOMT_DINOV3_HF,
    EOMT_HF,
    GAMMAS,
    HF,
    HF_MEMORY,
    MAE,
    MMPRETRAIN,
    MMSEG,
    OPENAI,
    Renaming,
    Tensors,
)

LAYER_SCALE, NO_NORM = 'layer scale', 'no final norm'
NO_BIAS = 'no bias of queries, keys and values'
EVERYTHING = frozenset(
    {LAYER_SCALE, NO_NORM, NO_BIAS, 'relative position bias', 'no position table'}
    | {'rotary positions', 'no class token', 'register tokens', 'attention rel_pos'}
    | {'a norm before the blocks', 'norms of queries and keys'}
    | {f'the activation {act}' for act in ('gelu_tanh', 'quick_gelu', 'relu', 'swiglu')}
)


class Layout(NamedTuple):
    """A layout: patterns of keys that it has, and what is done to read and write it."""

    signs: tuple[str, ...]  # each matches a whole key
    read: Callable[[Mapping[str, Tensor]], Tensors]
    write: Callable[[Mapping[str, Tensor]], Tensors] | None = None
    holds: Collection[str] = ()  # of ``Architecture.parts``
    build: Callable[[Architecture], dict[str, Any]] | None = None  # their arguments
    usual: Mapping[str, Any] = MappingProxyType({})  # where the file does not say


def detect(names: Collection[str]) -> str | None:
    """Return the layout from the names of a file's tensors, None if it is unknown."""
    return next((name for name in LAYOUTS if _has_signs(name, names)), None)


def fits(layout: str, names: Collection[str]) -> bool:
    """Return whether names may be of a layout: ours may be of several."""
    return LAYOUTS[layout].read is same or _has_signs(layout, names)


def same(state: Mapping[str, Tensor]) -> Tensors:
    """Copy the names: MAE's are timm's, and ours are both."""
    return dict(state)


def read_dinov2(state: Mapping[str, Tensor]) -> Tensors:
    """Number the blocks of DINOv2 in one row, where they are in chunks."""
    chunk = re.compile(r'^blocks\.\d+\.(?=\d+\.)')
    named = {chunk.sub('blocks.', name): value for name, value in state.items()}
    return DINO.to_ours(named)


def read_beit(state: Mapping[str, Tensor]) -> Tensors:
    """Rename BEiT's and ConMIM's, and give each block a table of its own."""
    named = GAMMAS.to_ours(state)
    shared = named.pop('rel_pos_bias.relative_position_bias_table', None)
    if shared is None:
        return named
    for number in {m[1] for k in named if (m := re.match(r'blocks\.(\d+)\.', k))}:
        table = f'blocks.{number}.attn.relative_position_bias_table'
        own = named.get(table)
        named[table] = shared.clone() if own is None else own + shared
    return named


def read_hf(state: Mapping[str, Tensor]) -> Tensors:
    """Rename what transformers writes for ViT, ViTMAE, DeiT, DINOv2 and I-JEPA."""
    # Its version 5 has other names in memory, and still writes the old ones.
    return HF.to_ours(HF_MEMORY.to_ours(state))


def write_hf(state: Mapping[str, Tensor]) -> Tensors:
    """Split queries, keys and values and rename to what ``from_pretrained`` reads."""
    split: Tensors = {}
    for name, value in state.items():
        if '.attn.qkv.' not in name:
            split[name] = value
            continue
        for part, third in zip('qkv', value.chunk(3), strict=True):
            split[name.replace('.qkv.', f'.{part}.')] = third.clone()
    return HF.to_theirs(split)


def read_dinov3_hf(state: Mapping[str, Tensor], names: Renaming = DINOV3_HF) -> Tensors:
    """Rename transformers' DINOv3; an MLP's names depend on whether it is gated."""
    inner = {k.removeprefix('model.'): v for k, v in state.items()}
    named = names.to_ours(inner)
    for name in [k for k in named if '.mlp.up_proj.' in k]:
        gated = name.replace('up_proj', 'gate_proj') in named
        named[name.replace('up_proj', 'fc1_x' if gated else 'fc1')] = named.pop(name)
    return {k.replace('.mlp.gate_proj.', '.mlp.fc1_g.'): v for k, v in named.items()}


def write_timm(state: Mapping[str, Tensor]) -> Tensors:
    """Add zero positions for registers, and drop the row of an absent class token."""
    written = dict(state)
    if (table := written.get('pos_embed')) is not None:
        registers = state.get('reg_token', table[:, :0])
        rows = [torch.zeros_like(registers), table[:, 1:]]
        written['pos_embed'] = torch.cat([table[:, : 'cls_token' in state], *rows], 1)
    return written


def to_ccmim(state: Mapping[str, Tensor]) -> Tensors:
    """Rename a pretraining file of MAE or of the published ccMIM to our names.

    Encoder keys of such a flat file get the prefix ``backbone.``. Files that are
    already ours, and plain encoders (timm, MAE fine-tuned), pass unchanged.
    """
    if not any(name.startswith('decoder_') for name in state):
        return dict(state)
    renamed = {}
    for name, value in state.items():
        start = next((theirs for theirs in MAE if name.startswith(theirs)), None)
        ours = MAE[start] + name.removeprefix(start) if start else f'backbone.{name}'
        renamed[ours] = value
    return renamed


def _has_signs(layout: str, names: Collection[str]) -> bool:
    signs = LAYOUTS[layout].signs
    return bool(signs) and all(any(re.fullmatch(s, n) for n in names) for s in signs)


def _read_dinov2_hf(state: Mapping[str, Tensor]) -> Tensors:
    return DINOV2_GATED.to_ours(DINOV2_MEMORY.to_ours(DINOV2_HF.to_ours(state)))


_QKV = r'blocks\.0\.attn\.qkv\.weight'
_HF_PATCHES = r'embeddings\.patch_embeddings\.projection\.weight'
_CLIP_PIXELS = dict(  # in 0..255
    mean=[122.7709, 116.746, 104.0937], std=[68.5005, 66.6322, 70.3232]
)
_HALF = dict(mean=[127.5] * 3, std=[127.5] * 3)
_DINOV3_SAYS = dict(pos_embed='rotary', norm_eps=1e-5)
# In the order in which they are tried.
LAYOUTS = {
    'hf-eomt': Layout(
        (_HF_PATCHES, r'query\.weight'),
        EOMT_HF.to_ours,
        usual=dict(norm_eps=1e-6),
    ),
    'hf-eomt-dinov3': Layout(
        (r'embeddings\.patch_embeddings\.weight', r'query\.weight'),
        partial(read_dinov3_hf, names=EOMT_DINOV3_HF),
        usual=dict(pos_embed='rotary', norm_eps=1e-6),
    ),
    'hf-dinov2': Layout(
        (_HF_PATCHES, r'encoder\.layer\.0\.layer_scale1\.lambda1'),
        _read_dinov2_hf,
        usual=dict(norm_eps=1e-6, pos_resample='bicubic'),
    ),
    'hf-dinov3': Layout(
        (r'embeddings\.patch_embeddings\.weight', r'(model\.)?layer\.0\.norm1\.weight'),
        read_dinov3_hf,
        usual=_DINOV3_SAYS,
    ),
    'hf-clip': Layout(
        (r'embeddings\.patch_embedding\.weight', r'pre_layrnorm\.weight'),
        CLIP.to_ours,
        usual=dict(
            norm_eps=1e-5, act='quick_gelu', pos_resample='bicubic', **_CLIP_PIXELS
        ),
    ),
    'hf-siglip': Layout(
        (r'embeddings\.patch_embedding\.weight', r'post_layernorm\.weight'),
        CLIP.to_ours,
        usual=dict(norm_eps=1e-6, act='gelu_tanh', pos_resample='bicubic', **_HALF),
    ),
    'hf': Layout(
        (_HF_PATCHES,),
        read_hf,
        write_hf,
        {NO_BIAS},
        usual=dict(norm_eps=1e-12, pos_resample='bicubic'),
    ),
    'openai-clip': Layout(
        (r'class_embedding', r'transformer\.resblocks\.0\.attn\.in_proj_weight'),
        OPENAI.to_ours,
        usual=dict(norm_eps=1e-5, act='quick_gelu', **_CLIP_PIXELS),
    ),
    'mmseg': Layout(
        (r'layers\.0\.attn\.attn\.in_proj_weight',),
        MMSEG.to_ours,
        MMSEG.to_theirs,
        {NO_NORM},
        mmseg_config,
    ),
    'mmpretrain': Layout(
        (r'layers\.0\.attn\.qkv\.weight',),
        MMPRETRAIN.to_ours,
        MMPRETRAIN.to_theirs,
        {LAYER_SCALE, NO_NORM, NO_BIAS},
        mmpretrain_config,
    ),
    'dinov3': Layout(
        (r'storage_tokens|rope_embed\.periods', _QKV),
        DINOV3.to_ours,
        usual=_DINOV3_SAYS,
    ),
    'timm-dinov3': Layout(
        (r'reg_token', r'blocks\.0\.gamma_1', r'blocks\.0\.attn\.(qkv|proj)\.weight'),
        GAMMAS.to_ours,
        usual=_DINOV3_SAYS,
    ),
    'beit': Layout(
        (
            r'blocks\.0\.(gamma_1|attn\.(q_bias|relative_position_index))|rel_pos_bias.*',
        ),
        read_beit,
    ),
    'dinov2': Layout(
        (r'blocks\.0\.(0\.)?ls1\.gamma|register_tokens', r'mask_token|register_tokens'),
        read_dinov2,
        usual=dict(pos_resample='dinov2'),
    ),
    'ccmim': Layout(
        (r'backbone\.blocks\.0\.attn\.qkv\.weight',), same, same, EVERYTHING, our_config
    ),
    'safetensors': Layout((), same, same, EVERYTHING, our_config),
    'ccmim-official': Layout((r'decoder_embed\.weight', r'projector\..*'), same),
    'mae': Layout((r'decoder_embed\.weight',), same),
    'timm': Layout(
        (_QKV,),
        same,
        write_timm,
        EVERYTHING
        - {'relative position bias', 'no position table', 'rotary positions', NO_NORM}
        - {'attention rel_pos'},
        timm_options,
    ),
}
READABLE = ('auto', *(name for name in LAYOUTS if name != 'safetensors'))
WRITABLE = tuple(name for name, layout in LAYOUTS.items() if layout.write)
