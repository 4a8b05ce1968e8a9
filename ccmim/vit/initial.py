"""What the Vision Transformer starts with: drawn weights, and what stays frozen."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ccmim.vit.block import draw_linear


def draw_weights(vit: Any, learned: bool) -> None:
    """Draw the weights as MAE does: a patch is embedded as if by a linear layer.

    Args:
        vit: The Vision Transformer.
        learned: Whether its positions are drawn as well.
    """
    vit.apply(draw_linear)
    nn.init.xavier_uniform_(vit.patch_embed.proj.weight.flatten(1))
    nn.init.zeros_(vit.patch_embed.proj.bias)
    nn.init.normal_(vit.cls_token, std=0.02)
    if learned:
        nn.init.trunc_normal_(vit.pos_embed, std=0.02)


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
        frozen_stages: -1 for none, 0 for the embedding, k also for k blocks.
    """
    unused: list[nn.Module | Tensor] = []
    if out_indices:
        unused += vit.blocks[max(out_indices) + 1 :]
        if not out_norm:
            unused.append(vit.norm)
    if window_size:
        unused.append(vit.cls_token)
    if frozen_stages >= 0:
        unused += [vit.patch_embed, vit.cls_token, vit.pos_embed]
        unused += vit.blocks[:frozen_stages]
    for part in unused:
        part.requires_grad_(False)
