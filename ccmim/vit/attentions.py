"""The attention variants of the Vision Transformer, by name."""

from torch import nn

from ccmim.vit.attention import Attention
from ccmim.vit.decomposed import RelPosAttention
from ccmim.vit.lisa import LisaAttention

OTHERS = {'rel_pos': RelPosAttention, 'lisa': LisaAttention}


def whole_grid_option(
    attention: str, rel_pos_bias: bool, rotary: bool = False
) -> str | None:
    """Check how tokens are mixed, and name the option that needs all patches, if any.

    Args:
        attention: 'softmax' or a name in ``OTHERS``.
        rel_pos_bias: Whether there are tables as BEiT's.
        rotary: Whether queries and keys are turned.

    Raises:
        ValueError: If the kind has relative positions of its own.
    """
    if attention in OTHERS and rel_pos_bias:
        raise ValueError(
            f'attention={attention!r} has relative positions of its own: '
            'set rel_pos_bias=False'
        )
    if rotary:
        return "pos_embed='rotary'"
    if attention in OTHERS:
        return f'attention={attention!r}'
    return 'rel_pos_bias=True' if rel_pos_bias else None


def make_attention(
    attention: str,
    dim: int,
    num_heads: int,
    qkv_bias: bool,
    grid: tuple[int, int],
    rel_pos_bias: bool,
    rope_theta: float | None = None,
    qk_norm_eps: float | None = None,
) -> nn.Module:
    """Make the attention of one block.

    Args:
        attention: 'softmax' or a name in ``OTHERS``.
        dim: Width of the tokens.
        num_heads: Number of heads.
        qkv_bias: Whether queries, keys and values have a bias.
        grid: Rows and columns of patches for which relative positions are held.
        rel_pos_bias: Whether 'softmax' has a table as BEiT's.
        rope_theta: Of rotary positions, if 'softmax' has them.
        qk_norm_eps: Of its norms of queries and keys, if it has them.
    """
    if attention in OTHERS:
        return OTHERS[attention](dim, num_heads, qkv_bias, grid)
    held = grid if rel_pos_bias else None
    return Attention(dim, num_heads, qkv_bias, held, rope_theta, qk_norm_eps)
