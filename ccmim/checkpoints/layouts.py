"""The layouts by name: how each is recognized, read and written.

A layout's ``read`` renames to our names what it knows and leaves the rest, its
``write`` goes back. What several have in common (queries, keys and values apart, absent
biases, tokens without a position) is settled in ``settle.py``.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ccmim.checkpoints.architecture import Architecture

Tensors = dict[str, Tensor]
LAYER_SCALE, NO_NORM = 'layer scale', 'no final norm'
NO_BIAS = 'no bias of queries, keys and values'
EVERYTHING = frozenset(
    {LAYER_SCALE, NO_NORM, NO_BIAS, 'relative position bias', 'no position table'}
    | {'rotary positions', 'no class token', 'register tokens', 'attention rel_pos'}
    | {'a norm before the blocks', 'norms of queries and keys'}
    | {f'the activation {act}' for act in ('gelu_tanh', 'quick_gelu', 'relu', 'swiglu')}
)


@dataclass(frozen=True)
class Renaming:
    """How another project names what a ViT consists of.

    Args:
        blocks: Their name of the list of blocks, such as ``layers``.
        top: Their names outside the blocks by ours; whole names or modules.
        block: Their names inside a block by ours.
    """

    blocks: str
    top: Mapping[str, str]
    block: Mapping[str, str]

    def to_ours(self, state: Mapping[str, Tensor]) -> Tensors:
        """Rename what has a name of ours, leave the rest as it is."""
        top, block = _turned(self.top), _turned(self.block)
        return dict(_renamed(state, self.blocks, 'blocks', top, block))

    def to_theirs(self, state: Mapping[str, Tensor]) -> Tensors:
        """Rename what has a name of theirs, leave the rest as it is."""
        return dict(_renamed(state, 'blocks', self.blocks, self.top, self.block))


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
    return _DINO.to_ours(named)


def read_beit(state: Mapping[str, Tensor]) -> Tensors:
    """Rename BEiT's and ConMIM's, and give each block a table of its own."""
    named = _GAMMAS.to_ours(state)
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
    return _HF.to_ours(_HF_MEMORY.to_ours(state))


def write_hf(state: Mapping[str, Tensor]) -> Tensors:
    """Split queries, keys and values and rename to what ``from_pretrained`` reads."""
    split: Tensors = {}
    for name, value in state.items():
        if '.attn.qkv.' not in name:
            split[name] = value
            continue
        for part, third in zip('qkv', value.chunk(3), strict=True):
            split[name.replace('.qkv.', f'.{part}.')] = third.clone()
    return _HF.to_theirs(split)


def read_dinov3_hf(state: Mapping[str, Tensor]) -> Tensors:
    """Rename transformers' DINOv3; an MLP's names depend on whether it is gated."""
    inner = {k.removeprefix('model.'): v for k, v in state.items()}
    named = _DINOV3_HF.to_ours(inner)
    for name in [k for k in named if '.mlp.up_proj.' in k]:
        gated = name.replace('up_proj', 'gate_proj') in named
        named[name.replace('up_proj', 'fc1_x' if gated else 'fc1')] = named.pop(name)
    return {k.replace('.mlp.gate_proj.', '.mlp.fc1_g.'): v for k, v in named.items()}


def write_timm(state: Mapping[str, Tensor]) -> Tensors:
    """Give registers positions, of zeros, and take the row of an absent class token."""
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
        start = next((theirs for theirs in _MAE if name.startswith(theirs)), None)
        ours = _MAE[start] + name.removeprefix(start) if start else f'backbone.{name}'
        renamed[ours] = value
    return renamed


def our_config(architecture: Architecture) -> dict[str, Any]:
    """Make the config of our backbone."""
    return dict(type='ccmim.VisionTransformer', **architecture.options())


def timm_options(architecture: Architecture) -> dict[str, Any]:
    """List the arguments of ``timm.models.VisionTransformer``, without a classifier."""
    a = architecture
    options: dict[str, Any] = dict(
        img_size=a.img_size,
        patch_size=a.patch_size,
        in_chans=a.in_chans,
        embed_dim=a.embed_dim,
        depth=a.depth,
        num_heads=a.num_heads,
        mlp_ratio=a.mlp_ratio,
        qkv_bias=a.qkv_bias,
        init_values=1e-5 if a.layer_scale else None,
        num_classes=0,
    )
    if a.norm_eps != 1e-6:
        options['norm_layer'] = partial(nn.LayerNorm, eps=a.norm_eps)
    if a.act == 'swiglu':
        from timm.layers import SwiGLUPacked

        options.update(mlp_layer=SwiGLUPacked, mlp_ratio=2 * a.mlp_ratio)
        options['act_layer'] = nn.SiLU
    elif a.act != 'gelu':
        options['act_layer'] = a.act
    if not a.class_token:
        options.update(class_token=False, global_pool='avg', fc_norm=False)
    extra = dict(reg_tokens=a.reg_tokens, pre_norm=a.pre_norm, qk_norm=a.qk_norm)
    return options | {name: value for name, value in extra.items() if value}


def mmpretrain_config(architecture: Architecture) -> dict[str, Any]:
    """Make the config of mmpretrain's backbone."""
    a = architecture
    return dict(
        type='VisionTransformer',
        arch=dict(
            embed_dims=a.embed_dim,
            num_layers=a.depth,
            num_heads=a.num_heads,
            feedforward_channels=a.hidden_dim,
        ),
        img_size=a.img_size,
        patch_size=a.patch_size,
        in_channels=a.in_chans,
        qkv_bias=a.qkv_bias,
        norm_cfg=dict(type='LN', eps=a.norm_eps),
        final_norm=a.final_norm,
        layer_scale_init_value=1e-5 if a.layer_scale else 0.0,
    )


def mmseg_config(architecture: Architecture) -> dict[str, Any]:
    """Make the config of mmseg's backbone, whose defaults have no bias of patches."""
    a = architecture
    return dict(
        type='VisionTransformer',
        img_size=a.img_size,
        patch_size=a.patch_size,
        in_channels=a.in_chans,
        embed_dims=a.embed_dim,
        num_layers=a.depth,
        num_heads=a.num_heads,
        mlp_ratio=int(a.mlp_ratio) if a.mlp_ratio.is_integer() else a.mlp_ratio,
        norm_cfg=dict(type='LN', eps=a.norm_eps),
        patch_bias=True,
        final_norm=a.final_norm,
    )


def _renamed(
    state: Mapping[str, Tensor],
    blocks: str,
    new_blocks: str,
    top: Mapping[str, str],
    block: Mapping[str, str],
) -> Iterator[tuple[str, Tensor]]:
    in_block = re.compile(rf'{re.escape(blocks)}\.(\d+)\.(.+)')
    for name, value in state.items():
        found = in_block.fullmatch(name)
        if found is None:
            yield _translate(name, top) or name, value
        elif inner := _translate(found[2], block):
            yield f'{new_blocks}.{found[1]}.{inner}', value
        else:
            yield name, value


def _translate(name: str, table: Mapping[str, str]) -> str | None:
    # A whole name, or a module and the name of its parameter.
    module, _, parameter = name.rpartition('.')
    if name in table:
        return table[name]
    return f'{table[module]}.{parameter}' if module in table else None


def _turned(table: Mapping[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in table.items()}


def _has_signs(layout: str, names: Collection[str]) -> bool:
    signs = LAYOUTS[layout].signs
    return bool(signs) and all(any(re.fullmatch(s, n) for n in names) for s in signs)


_MAE = {
    'decoder_embed.': 'decoder.embed.',
    'decoder_pos_embed': 'decoder.pos_embed',
    'decoder_blocks.': 'decoder.blocks.',
    'decoder_norm.': 'decoder.norm.',
    'decoder_pred.': 'decoder.pred.',
    'mask_token': 'decoder.mask_token',
    'projector.': 'contrast.projector.',
}
_GAMMAS = Renaming('blocks', {}, {'ls1.gamma': 'gamma_1', 'ls2.gamma': 'gamma_2'})
_DINO = Renaming(
    'blocks',
    {'reg_token': 'register_tokens'},
    {'mlp.fc1': 'mlp.w12', 'mlp.fc2': 'mlp.w3'},
)
_DINOV3 = Renaming(
    'blocks',
    {'reg_token': 'storage_tokens'},
    {'mlp.fc1_g': 'mlp.w1', 'mlp.fc1_x': 'mlp.w2', 'mlp.fc2': 'mlp.w3'},
)
_HF_TOP = {
    'cls_token': 'embeddings.cls_token',
    'pos_embed': 'embeddings.position_embeddings',
    'reg_token': 'embeddings.register_tokens',
    'dist_token': 'embeddings.distillation_token',
    'patch_embed.proj': 'embeddings.patch_embeddings.projection',
    'norm': 'layernorm',
}
_HF = Renaming(
    'encoder.layer',
    _HF_TOP,
    {
        'norm1': 'layernorm_before',
        'norm2': 'layernorm_after',
        'attn.q': 'attention.attention.query',
        'attn.k': 'attention.attention.key',
        'attn.v': 'attention.attention.value',
        'attn.proj': 'attention.output.dense',
        'mlp.fc1': 'intermediate.dense',
        'mlp.fc2': 'output.dense',
    },
)
_QKV_PROJ = {f'attn.{part}': f'attention.{part}_proj' for part in 'qkv'}
_HF_MEMORY = Renaming(
    'layers',
    {},
    {
        'norm1': 'layernorm_before',
        'norm2': 'layernorm_after',
        **_QKV_PROJ,
        'attn.proj': 'attention.o_proj',
        'mlp.fc1': 'mlp.fc1',
        'mlp.fc2': 'mlp.fc2',
    },
)
_DINOV2_BLOCK = {
    'norm1': 'norm1',
    'norm2': 'norm2',
    'ls1.gamma': 'layer_scale1.lambda1',
    'ls2.gamma': 'layer_scale2.lambda1',
    'mlp.fc1': 'mlp.fc1',
    'mlp.fc2': 'mlp.fc2',
}
_DINOV2_HF = Renaming(
    'encoder.layer',
    _HF_TOP,
    {
        **{k: v for k, v in _HF.block.items() if k.startswith('attn')},
        **_DINOV2_BLOCK,
    },
)
# In memory, and the names of an MLP with a gate.
_DINOV2_MEMORY = Renaming(
    'encoder.layer',
    {},
    {**_QKV_PROJ, 'attn.proj': 'attention.o_proj', 'mlp.fc1_g': 'mlp.gate_proj'}
    | {'mlp.fc1_x': 'mlp.up_proj', 'mlp.fc2': 'mlp.down_proj'},
)
_DINOV2_GATED = Renaming(
    'encoder.layer', {}, {'mlp.fc1': 'mlp.weights_in', 'mlp.fc2': 'mlp.weights_out'}
)
_DINOV3_HF = Renaming(
    'layer',
    {**_HF_TOP, 'norm': 'norm', 'patch_embed.proj': 'embeddings.patch_embeddings'},
    {
        **{k: v for k, v in _DINOV2_BLOCK.items() if not k.startswith('mlp')},
        'mlp.up_proj': 'mlp.up_proj',
        'mlp.gate_proj': 'mlp.gate_proj',
        **_QKV_PROJ,
        'attn.proj': 'attention.o_proj',
        'mlp.fc2': 'mlp.down_proj',
    },
)
_CLIP = Renaming(
    'encoder.layers',
    {
        'cls_token': 'embeddings.class_embedding',
        'pos_embed': 'embeddings.position_embedding.weight',
        'patch_embed.proj': 'embeddings.patch_embedding',
        'norm_pre': 'pre_layrnorm',
        'norm': 'post_layernorm',
    },
    {
        'norm1': 'layer_norm1',
        'norm2': 'layer_norm2',
        'attn.q': 'self_attn.q_proj',
        'attn.k': 'self_attn.k_proj',
        'attn.v': 'self_attn.v_proj',
        'attn.proj': 'self_attn.out_proj',
        'mlp.fc1': 'mlp.fc1',
        'mlp.fc2': 'mlp.fc2',
    },
)
_OPENAI = Renaming(
    'transformer.resblocks',
    {
        'cls_token': 'class_embedding',
        'pos_embed': 'positional_embedding',
        'patch_embed.proj': 'conv1',
        'norm_pre': 'ln_pre',
        'norm': 'ln_post',
    },
    {
        'norm1': 'ln_1',
        'norm2': 'ln_2',
        'attn.qkv.weight': 'attn.in_proj_weight',
        'attn.qkv.bias': 'attn.in_proj_bias',
        'attn.proj': 'attn.out_proj',
        'mlp.fc1': 'mlp.c_fc',
        'mlp.fc2': 'mlp.c_proj',
    },
)
_MM_TOP = {
    'cls_token': 'cls_token',
    'pos_embed': 'pos_embed',
    'patch_embed.proj': 'patch_embed.projection',
    'norm': 'ln1',
}
_MM_BLOCK = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}
_MMPRETRAIN = Renaming(
    'layers',
    _MM_TOP,
    {
        **_MM_BLOCK,
        'attn.qkv': 'attn.qkv',
        'attn.proj': 'attn.proj',
        'ls1.gamma': 'attn.gamma1.weight',
        'ls2.gamma': 'ffn.gamma2.weight',
    },
)
# mmcv wraps torch's attention, hence the doubled name.
_MMSEG = Renaming(
    'layers',
    _MM_TOP,
    {
        **_MM_BLOCK,
        'attn.qkv.weight': 'attn.attn.in_proj_weight',
        'attn.qkv.bias': 'attn.attn.in_proj_bias',
        'attn.proj': 'attn.attn.out_proj',
    },
)


def _read_dinov2_hf(state: Mapping[str, Tensor]) -> Tensors:
    return _DINOV2_GATED.to_ours(_DINOV2_MEMORY.to_ours(_DINOV2_HF.to_ours(state)))


_QKV = r'blocks\.0\.attn\.qkv\.weight'
_HF_PATCHES = r'embeddings\.patch_embeddings\.projection\.weight'
_DINOV3_SAYS = dict(pos_embed='rotary', norm_eps=1e-5)
# In the order in which they are tried.
LAYOUTS = {
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
        _CLIP.to_ours,
        usual=dict(norm_eps=1e-5, act='quick_gelu', pos_resample='bicubic'),
    ),
    'hf-siglip': Layout(
        (r'embeddings\.patch_embedding\.weight', r'post_layernorm\.weight'),
        _CLIP.to_ours,
        usual=dict(norm_eps=1e-6, act='gelu_tanh', pos_resample='bicubic'),
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
        _OPENAI.to_ours,
        usual=dict(norm_eps=1e-5, act='quick_gelu'),
    ),
    'mmseg': Layout(
        (r'layers\.0\.attn\.attn\.in_proj_weight',),
        _MMSEG.to_ours,
        _MMSEG.to_theirs,
        {NO_NORM},
        mmseg_config,
    ),
    'mmpretrain': Layout(
        (r'layers\.0\.attn\.qkv\.weight',),
        _MMPRETRAIN.to_ours,
        _MMPRETRAIN.to_theirs,
        {LAYER_SCALE, NO_NORM, NO_BIAS},
        mmpretrain_config,
    ),
    'dinov3': Layout(
        (r'storage_tokens|rope_embed\.periods', _QKV),
        _DINOV3.to_ours,
        usual=_DINOV3_SAYS,
    ),
    'timm-dinov3': Layout(
        (r'reg_token', r'blocks\.0\.gamma_1', r'blocks\.0\.attn\.(qkv|proj)\.weight'),
        _GAMMAS.to_ours,
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
