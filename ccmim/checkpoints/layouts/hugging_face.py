"""The layout of Hugging Face's ViT and ViTMAE, and its ``config.json``."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ccmim.checkpoints.layouts.rename import Renaming, Tensors

MODEL_TYPES = ('vit', 'vit_mae')
NORM_EPS = 1e-12  # of a file whose config.json is not at hand
_NAMES = Renaming(
    'encoder.layer',
    {
        'cls_token': 'embeddings.cls_token',
        'pos_embed': 'embeddings.position_embeddings',
        'patch_embed.proj': 'embeddings.patch_embeddings.projection',
        'norm': 'layernorm',
    },
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
# transformers 5 has other names in memory, and still writes the ones above.
_IN_MEMORY = Renaming(
    'layers',
    {},
    {
        'norm1': 'layernorm_before',
        'norm2': 'layernorm_after',
        'attn.q': 'attention.q_proj',
        'attn.k': 'attention.k_proj',
        'attn.v': 'attention.v_proj',
        'attn.proj': 'attention.o_proj',
        'mlp.fc1': 'mlp.fc1',
        'mlp.fc2': 'mlp.fc2',
    },
)
_FIELDS = {
    'embed_dim': 'hidden_size',
    'depth': 'num_hidden_layers',
    'num_heads': 'num_attention_heads',
    'hidden_dim': 'intermediate_size',
    'img_size': 'image_size',
    'patch_size': 'patch_size',
    'in_chans': 'num_channels',
    'qkv_bias': 'qkv_bias',
    'norm_eps': 'layer_norm_eps',
}
_QUERY = re.compile(r'(blocks\.\d+\.attn\.)q\.(weight|bias)')


def read(state: Mapping[str, Tensor]) -> Tensors:
    """Rename to our names and join queries, keys and values."""
    inner = {k.removeprefix('vit.'): v for k, v in state.items()}
    named = _NAMES.to_ours(_IN_MEMORY.to_ours(inner))
    for name in list(named):
        if found := _QUERY.fullmatch(name):
            three = [f'{found[1]}{part}.{found[2]}' for part in 'qkv']
            if all(part in named for part in three):
                joined = torch.cat([named.pop(part) for part in three])
                named[f'{found[1]}qkv.{found[2]}'] = joined
    return named


def write(state: Mapping[str, Tensor]) -> Tensors:
    """Split queries, keys and values and rename to what ``from_pretrained`` reads."""
    split: Tensors = {}
    for name, value in state.items():
        if '.attn.qkv.' not in name:
            split[name] = value
            continue
        for part, third in zip('qkv', value.chunk(3), strict=True):
            split[name.replace('.qkv.', f'.{part}.')] = third.clone()
    return _NAMES.to_theirs(split)


def read_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a ``config.json`` says of the network, as fields of ``Architecture``.

    Raises:
        ValueError: If it is of another model than ViT and ViTMAE, or has another
            activation than GELU.
    """
    kind, act = config.get('model_type'), config.get('hidden_act', 'gelu')
    if kind not in MODEL_TYPES:
        raise ValueError(
            f'config.json: model_type={kind!r}; read are {" and ".join(MODEL_TYPES)}'
        )
    if act != 'gelu':
        raise ValueError(f'config.json: hidden_act={act!r}; only gelu is read')
    found = {k: config[theirs] for k, theirs in _FIELDS.items() if theirs in config}
    pairs = {k: v for k, v in found.items() if isinstance(v, list)}
    return found | {k: v[0] for k, v in pairs.items() if v[0] == v[-1]}


def write_config(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Make the ``config.json`` of a ViT from the fields of ``Architecture``."""
    fixed = dict(
        architectures=['ViTModel'],
        model_type='vit',
        hidden_act='gelu',
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return fixed | {theirs: architecture[ours] for ours, theirs in _FIELDS.items()}
