"""Initialization and freezing of the Vision Transformer."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from typing_extensions import NotRequired, TypedDict

from ccmim.ranges import Path, Sides
from ccmim.registry import WEIGHT_INITIALIZERS
from ccmim.vit.block import draw_linear

DRAWS = ('xavier', 'mae', 'beit', 'moco')
_CUT = dict(a=-0.02, b=0.02)


class Pretrained(TypedDict):
    """Where weights come from: the arguments of ``ccmim.checkpoints.load_backbone``.

    A ``checkpoint`` alone is enough, so that one key gives any config its weights.
    """

    type: NotRequired[Literal['Pretrained']]
    checkpoint: NotRequired[Path | None]
    allow_missing: NotRequired[Sequence[str]]
    resize_patch: NotRequired[bool]
    img_size: NotRequired[Sides]
    part: NotRequired[str]
    layout: NotRequired[str]


def draw_weights(vit: Any, learned: bool, how: str = 'xavier') -> None:
    """Draw the first weights by one of the rules in ``DRAWS``.

    - 'xavier': Uniform with Xavier's bounds, a patch embedded as if by a linear layer;
      biases are zero.
    - 'mae': The same, but that the patches' bias is a convolution's, as MAE leaves it.
    - 'moco': The same as 'xavier', but that queries, keys and values are three layers
      and the tokens all but zero, as in MoCo v3.
    - 'beit': A normal of 0.02, cut at one deviation, as BEiT's followers SimMIM and
      ConMIM do; the last layer of each branch of block i = 1, 2, ... is divided by
      sqrt(2 i), so that the sum of the branches does not grow with the depth.

    Args:
        vit: The Vision Transformer.
        learned: Whether its positions are drawn as well.
        how: Name in ``DRAWS``.
    """
    proj = vit.patch_embed.proj
    vit.apply(_draw_cut if how == 'beit' else draw_linear)
    if how == 'beit':
        _cut_normal(proj.weight)
        for i, block in enumerate(vit.blocks):
            for layer in (block.attn.proj, block.mlp.fc2):
                layer.weight.data.div_(math.sqrt(2 * (i + 1)))
    else:
        nn.init.xavier_uniform_(proj.weight.flatten(1))
    if how == 'moco':
        for block in vit.blocks:
            for part in block.attn.qkv.weight.chunk(3):
                nn.init.xavier_uniform_(part)
    if how != 'mae':
        nn.init.zeros_(proj.bias)
    for token in vit.prefix_tokens():
        if how == 'beit':
            _cut_normal(token)
        else:
            nn.init.normal_(token, std=1e-6 if how == 'moco' else 0.02)
    if learned:
        nn.init.trunc_normal_(vit.pos_embed, std=0.02, **_CUT if how == 'beit' else {})
        if not vit.class_token:  # whose row nothing uses
            nn.init.zeros_(vit.pos_embed.data[:, :1])


def _draw_cut(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        _cut_normal(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _cut_normal(values: Tensor) -> None:
    nn.init.trunc_normal_(values, std=0.02, **_CUT)


def freeze_unused(
    vit: Any,
    out_indices: Sequence[int],
    out_norm: bool,
    window_size: int,
    frozen_stages: int,
) -> None:
    """Freeze what a dense task does not use, and the stages that it asks to freeze.

    Args:
        vit: The Vision Transformer.
        out_indices: Blocks whose maps are used; empty for pretraining.
        out_norm: Whether the final norm is used on them.
        window_size: Side of the attention windows, which see no class token; or 0.
        frozen_stages: -1 for none, 0 for the embedding, k also for k blocks; with all
            blocks the norm on the maps too.
    """
    unused: list[nn.Module | Tensor] = []
    if out_indices:
        unused += vit.blocks[max(out_indices) + 1 :]
        if not out_norm:
            unused.append(vit.norm)
    if window_size:
        unused += vit.prefix_tokens()
    if frozen_stages >= 0:
        unused += [vit.patch_embed, vit.pos_embed, vit.norm_pre, *vit.prefix_tokens()]
        unused += vit.blocks[:frozen_stages]
        if out_indices and frozen_stages == vit.depth:
            unused.append(vit.norm)  # else the only part of the network to train
    for part in unused:
        part.requires_grad_(False)


def load_pretrained(vit: Any) -> None:
    """Load the checkpoint that ``init_cfg`` names, if it names one.

    Args:
        vit: The Vision Transformer.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file does not fit, see ``ccmim.checkpoints.load_backbone``.
    """
    if vit.lora and not (vit.init_cfg or {}).get('checkpoint'):
        warnings.warn(
            f'lora={vit.lora} adapts random weights, unless load_from has others: set '
            'backbone.init_cfg.checkpoint',
            stacklevel=3,
        )
    if not vit.init_cfg:
        return
    if vit.init_cfg.get('checkpoint') is None:
        warnings.warn(
            'backbone.init_cfg.checkpoint is not set: training from scratch',
            stacklevel=3,
        )
        return
    # Reading files is the business of a room that knows this one, so the registry finds
    # it: see ``ccmim.checkpoints.load``.
    load = WEIGHT_INITIALIZERS.build({**vit.init_cfg, 'type': 'ccmim.LoadBackbone'})
    load(vit)
