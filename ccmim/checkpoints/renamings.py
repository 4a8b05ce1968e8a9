"""Parameter names of other projects, mapped to ours."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

Tensors = dict[str, Tensor]


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


def _renamed(
    state: Mapping[str, Tensor],
    blocks: str,
    new_blocks: str,
    top: Mapping[str, str],
    block: Mapping[str, str],
) -> Iterator[tuple[str, Tensor]]:
    in_block = re.compile(rf'{re.escape(blocks)}\.(\d+)\.(.+)')
    for name, value in state.items():
        match = in_block.fullmatch(name)
        if match is None:
            yield _translate(name, top) or name, value
        elif inner := _translate(match[2], block):
            yield f'{new_blocks}.{match[1]}.{inner}', value
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


MAE = {
    'decoder_embed.': 'decoder.embed.',
    'decoder_pos_embed': 'decoder.pos_embed',
    'decoder_blocks.': 'decoder.blocks.',
    'decoder_norm.': 'decoder.norm.',
    'decoder_pred.': 'decoder.pred.',
    'mask_token': 'decoder.mask_token',
    'projector.': 'contrast.projector.',
}
GAMMAS = Renaming('blocks', {}, {'ls1.gamma': 'gamma_1', 'ls2.gamma': 'gamma_2'})
DINO = Renaming(
    'blocks',
    {'reg_token': 'register_tokens'},
    {'mlp.fc1': 'mlp.w12', 'mlp.fc2': 'mlp.w3'},
)
DINOV3 = Renaming(
    'blocks',
    {'reg_token': 'storage_tokens'},
    {'mlp.fc1_g': 'mlp.w1', 'mlp.fc1_x': 'mlp.w2', 'mlp.fc2': 'mlp.w3'},
)
HF_TOP = {
    'cls_token': 'embeddings.cls_token',
    'pos_embed': 'embeddings.position_embeddings',
    'reg_token': 'embeddings.register_tokens',
    'dist_token': 'embeddings.distillation_token',
    'patch_embed.proj': 'embeddings.patch_embeddings.projection',
    'norm': 'layernorm',
}
HF = Renaming(
    'encoder.layer',
    HF_TOP,
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
QKV_PROJ = {f'attn.{part}': f'attention.{part}_proj' for part in 'qkv'}
HF_MEMORY = Renaming(
    'layers',
    {},
    {
        'norm1': 'layernorm_before',
        'norm2': 'layernorm_after',
        **QKV_PROJ,
        'attn.proj': 'attention.o_proj',
        'mlp.fc1': 'mlp.fc1',
        'mlp.fc2': 'mlp.fc2',
    },
)
DINOV2_BLOCK = {
    'norm1': 'norm1',
    'norm2': 'norm2',
    'ls1.gamma': 'layer_scale1.lambda1',
    'ls2.gamma': 'layer_scale2.lambda1',
    'mlp.fc1': 'mlp.fc1',
    'mlp.fc2': 'mlp.fc2',
}
DINOV2_HF = Renaming(
    'encoder.layer',
    HF_TOP,
    {
        **{k: v for k, v in HF.block.items() if k.startswith('attn')},
        **DINOV2_BLOCK,
    },
)
# In memory, and the names of an MLP with a gate.
DINOV2_MEMORY = Renaming(
    'encoder.layer',
    {},
    {**QKV_PROJ, 'attn.proj': 'attention.o_proj', 'mlp.fc1_g': 'mlp.gate_proj'}
    | {'mlp.fc1_x': 'mlp.up_proj', 'mlp.fc2': 'mlp.down_proj'},
)
DINOV2_GATED = Renaming(
    'encoder.layer', {}, {'mlp.fc1': 'mlp.weights_in', 'mlp.fc2': 'mlp.weights_out'}
)
DINOV3_HF = Renaming(
    'layer',
    {**HF_TOP, 'norm': 'norm', 'patch_embed.proj': 'embeddings.patch_embeddings'},
    {
        **{k: v for k, v in DINOV2_BLOCK.items() if not k.startswith('mlp')},
        'mlp.up_proj': 'mlp.up_proj',
        'mlp.gate_proj': 'mlp.gate_proj',
        **QKV_PROJ,
        'attn.proj': 'attention.o_proj',
        'mlp.fc2': 'mlp.down_proj',
    },
)
# EoMT's ViT in transformers, from DINOv2 and from DINOv3.
EOMT_HF = Renaming(
    'layers',
    {**HF_TOP, 'pos_embed': 'embeddings.position_embeddings.weight'},
    {**DINOV2_BLOCK, **QKV_PROJ, 'attn.proj': 'attention.out_proj'},
)
EOMT_DINOV3_HF = Renaming(
    'layers', {**DINOV3_HF.top, 'norm': 'layernorm'}, DINOV3_HF.block
)
CLIP = Renaming(
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
OPENAI = Renaming(
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
MM_TOP = {
    'cls_token': 'cls_token',
    'pos_embed': 'pos_embed',
    'patch_embed.proj': 'patch_embed.projection',
    'norm': 'ln1',
}
MM_BLOCK = {
    'norm1': 'ln1',
    'norm2': 'ln2',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}
MMPRETRAIN = Renaming(
    'layers',
    MM_TOP,
    {
        **MM_BLOCK,
        'attn.qkv': 'attn.qkv',
        'attn.proj': 'attn.proj',
        'ls1.gamma': 'attn.gamma1.weight',
        'ls2.gamma': 'ffn.gamma2.weight',
    },
)
# mmcv wraps torch's attention, hence the doubled name.
MMSEG = Renaming(
    'layers',
    MM_TOP,
    {
        **MM_BLOCK,
        'attn.qkv.weight': 'attn.attn.in_proj_weight',
        'attn.qkv.bias': 'attn.attn.in_proj_bias',
        'attn.proj': 'attn.attn.out_proj',
    },
)
