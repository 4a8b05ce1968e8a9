"""Read and write ``config.json`` of transformers and timm."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ccmim.checkpoints.architecture import NOT_READ

_FIELDS = {
    'embed_dim': 'hidden_size',
    'depth': 'num_hidden_layers',
    'num_heads': 'num_attention_heads',
    'hidden_dim': 'intermediate_size',
    'img_size': 'image_size',
    'patch_size': 'patch_size',
    'in_chans': 'num_channels',
    'norm_eps': 'layer_norm_eps',
    'rope_theta': 'rope_theta',
    'reg_tokens': 'num_register_tokens',
}
_ACTS = {
    'gelu': 'gelu',
    'gelu_pytorch_tanh': 'gelu_tanh',
    'gelu_new': 'gelu_tanh',
    'quick_gelu': 'quick_gelu',
    'relu': 'relu',
}
# Its kind of model: fields that other kinds may have by the same name and mean nothing.
MODEL_TYPES = {
    'vit': (),
    'vit_mae': (),
    'deit': (),
    'ijepa': (),
    'dinov2': ('intermediate_size',),
    'dinov2_with_registers': ('intermediate_size',),
    'dinov3_vit': (),
    'clip_vision_model': (),
    'siglip_vision_model': (),
}
_TIMM_ACTS = {
    nn.GELU: 'gelu',
    nn.ReLU: 'relu',
    nn.SiLU: 'swiglu',
}


def read_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ``config.json`` says, as fields of ``Architecture``.

    Raises:
        ValueError: If the model or its activation is not supported.
    """
    if 'architecture' in config:
        return timm_fields(str(config['architecture']), config.get('model_args') or {})
    if isinstance(config.get('vision_config'), Mapping):
        model = str(config.get('model_type'))
        config = {'model_type': f'{model}_vision_model', **config['vision_config']}
    kind, act = config.get('model_type'), config.get('hidden_act', 'gelu')
    if kind not in MODEL_TYPES:
        raise ValueError(
            f'config.json: model_type={kind!r}; read are {", ".join(MODEL_TYPES)}'
        )
    if act not in _ACTS and not config.get('use_gated_mlp'):
        raise ValueError(
            f'config.json: hidden_act={act!r}; read are {", ".join(_ACTS)}'
        )
    left_out = MODEL_TYPES[kind]
    options = {
        ours: config[theirs]
        for ours, theirs in _FIELDS.items()
        if theirs in config and theirs not in left_out
    }
    if config.get('use_swiglu_ffn'):
        act = 'silu'
    if config.get('use_gated_mlp') and act != 'silu':
        raise ValueError(
            f'config.json: a gated MLP of hidden_act={act!r}: silu is read'
        )
    options['act'] = 'swiglu' if act == 'silu' else _ACTS[act]
    if kind in ('vit', 'vit_mae', 'deit', 'ijepa') and 'qkv_bias' in config:
        options['qkv_bias'] = config['qkv_bias']
    if kind == 'dinov3_vit':
        options['pos_embed'] = 'rotary'
    elif kind != 'dinov2_with_registers':
        options.pop('reg_tokens', None)
        options['pos_resample'] = 'bicubic'
    if kind != 'dinov3_vit':
        options.pop('rope_theta', None)
    pairs = {k: v for k, v in options.items() if isinstance(v, list)}
    return options | {k: v[0] for k, v in pairs.items() if v[0] == v[-1]}


def write_config(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Make the ``config.json`` of a ViT from the fields of ``Architecture``."""
    fixed = dict(
        architectures=['ViTModel'],
        model_type='vit',
        hidden_act='gelu',
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        qkv_bias=architecture['qkv_bias'],
    )
    skipped = ('rope_theta', 'reg_tokens')
    return fixed | {
        theirs: architecture[ours]
        for ours, theirs in _FIELDS.items()
        if ours not in skipped
    }


_CARD = """---
library_name: transformers
pipeline_tag: image-feature-extraction
tags: [vision, self-supervised, ccmim]
---

# A Vision Transformer pretrained with ccmim

Width {embed_dim}, depth {depth}, {num_heads} heads, patches of {patch_size} px, images
of {img_size} px, without a classifier. Written by `ccmim export --to hf`.

```python
from transformers import pipeline

features = pipeline('image-feature-extraction', model='THIS_FOLDER')
tokens = features('photo.jpg')  # the class token first, then the patches, row by row
```

Photos are resized to {img_size} px and normalized by mean {mean} and deviation {std},
as in pretraining. What it was pretrained on, and what it is worth on your data, is for
whoever shares it to say here: `ccmim transfer` measures it.
"""


def beside_of_hugging_face(
    architecture: Mapping[str, Any], pixels: Mapping[str, Any]
) -> dict[str, str]:
    """Write what a hub wants beside weights: how photos are prepared, and a card.

    Args:
        architecture: Fields of ``Architecture``.
        pixels: ``mean`` and ``std`` of pixels in 0..1.

    Returns:
        Texts by name of the file.
    """
    size = architecture['img_size']
    height, width = (size, size) if isinstance(size, int) else size
    processor = dict(
        image_processor_type='ViTImageProcessor',
        do_resize=True,
        size=dict(height=height, width=width),
        resample=3,  # bicubic
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=pixels['mean'],
        image_std=pixels['std'],
    )
    return {
        'preprocessor_config.json': json.dumps(processor, indent=2) + '\n',
        'README.md': _CARD.format(**architecture, **pixels),
    }


_TIMM_BLOCKS = ('Block', 'EvaBlock')


def timm_fields(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model of timm is, as fields of ``Architecture``.

    Args:
        name: Of the model, without its weights' tag.
        changes: Of its arguments.

    Raises:
        ValueError: If timm has no such model, or it is not supported.
    """
    import timm
    from timm.layers import GELUTanh, QuickGELU
    from timm.layers.pos_embed_sincos import RotaryEmbeddingDinoV3
    from timm.models.beit import Beit
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer

    if not timm.is_model(name):
        raise ValueError(f'{name} is no model of timm {timm.__version__}')
    with torch.device('meta'):
        model = timm.create_model(name, pretrained=False, **changes)
    if not isinstance(model, VisionTransformer | Eva | Beit):
        raise ValueError(f'timm.{name} is a {type(model).__name__}, no plain ViT')
    block = model.blocks[0]
    if name.startswith('eva02'):
        raise ValueError(f'timm.{name} is EVA-02, {NOT_READ["EVA-02"]}')
    if (kind := type(block).__name__) not in _TIMM_BLOCKS:
        raise ValueError(f'timm.{name} has blocks of type {kind}, which are not read')
    size = model.patch_embed.img_size
    fields = dict(
        img_size=size[0] if size[0] == size[1] else list(size),
        norm_eps=block.norm1.eps,
        num_heads=block.attn.num_heads,
    )
    acts = {**_TIMM_ACTS, GELUTanh: 'gelu_tanh', QuickGELU: 'quick_gelu'}
    fields['act'] = acts.get(type(block.mlp.act))
    if fields['act'] is None:
        act = type(block.mlp.act).__name__
        raise ValueError(f'timm.{name} has the activation {act}, which is not read')
    rope = getattr(model, 'rope', None)
    if rope is not None:
        if not isinstance(rope, RotaryEmbeddingDinoV3) or not rope.rotate_half:
            raise ValueError(
                f'timm.{name} has rotary positions that are not those of DINOv3, '
                'which alone are read'
            )
        fields.update(pos_embed='rotary', rope_theta=rope.temperature)
    elif model.pos_embed is not None:
        grid = model.patch_embed.grid_size
        fields['pos_rows'] = model.pos_embed.shape[1] - grid[0] * grid[1]
    return fields
