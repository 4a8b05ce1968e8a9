"""Sizes of the Vision Transformer, and the checks of what it is asked to be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from ccmim.ranges import Count, check_value

if TYPE_CHECKING:  # commands that read a config start without torch
    from torch import Tensor

ARCHS = {
    'tiny': dict(embed_dim=192, depth=12, num_heads=3),
    'small': dict(embed_dim=384, depth=12, num_heads=6),
    'base': dict(embed_dim=768, depth=12, num_heads=12),
    'large': dict(embed_dim=1024, depth=24, num_heads=16),
    'huge': dict(embed_dim=1280, depth=32, num_heads=16),
}


class Arch(TypedDict):
    """An architecture by its numbers."""

    embed_dim: Count
    depth: Count
    num_heads: Count


ArchName = Literal['tiny', 'small', 'base', 'large', 'huge']


def resolve_arch(arch: ArchName | Arch) -> Arch:
    """Look up an architecture by name, unless it is given by its numbers.

    Raises:
        ValueError: If the name is unknown or a number is missing or superfluous.
    """
    check_value(arch, ArchName | Arch, 'arch')
    return ARCHS[arch] if isinstance(arch, str) else arch


def resolve_grid(img_size: int | Sequence[int], patch_size: int) -> tuple[int, int]:
    """Compute the rows and columns of patches of an image of the given size.

    Raises:
        ValueError: If the size is not one or two positive multiples of the patch side.
    """
    sides = [img_size] * 2 if isinstance(img_size, int) else list(img_size)
    if len(sides) != 2 or any(s < patch_size or s % patch_size for s in sides):
        raise ValueError(
            f'img_size={img_size} must be one or two multiples of '
            f'patch_size={patch_size}'
        )
    return sides[0] // patch_size, sides[1] // patch_size


def check_choices(
    depth: int,
    out_indices: Sequence[int],
    global_blocks: Sequence[int],
    frozen_stages: int,
) -> None:
    """Check the backbone's arguments against its depth.

    Raises:
        ValueError: Naming the argument that is out of range.
    """
    for name, blocks in dict(
        out_indices=out_indices, global_blocks=global_blocks
    ).items():
        if any(i >= depth for i in blocks):
            raise ValueError(f'{name}={tuple(blocks)} must lie in [0, {depth - 1}]')
    if frozen_stages > depth:
        raise ValueError(f'frozen_stages={frozen_stages} must lie in [-1, {depth}]')


def check_prefix(vit: Any, rel_pos_bias: bool, qk_norm: bool) -> None:
    """Check the backbone's arguments about what is added to a plain ViT.

    Raises:
        ValueError: Naming the arguments that do not fit together.
    """
    tables = rel_pos_bias or vit.attention != 'softmax'
    what = 'rel_pos_bias=True' if rel_pos_bias else f'attention={vit.attention!r}'
    for name, there in dict(
        reg_tokens=vit.reg_tokens > 0,
        class_token=not vit.class_token,
        pos_embed=vit.pos_kind == 'rotary',
        qk_norm=qk_norm,
    ).items():
        if tables and there:
            raise ValueError(f'{name} cannot be changed with {what}: leave one out')


def whole_grid_option(
    attention: str, rel_pos_bias: bool, rotary: bool = False
) -> str | None:
    """Check how tokens are mixed, and name the option that needs all patches, if any.

    Args:
        attention: 'softmax' or a name in ``ccmim.vit.attentions.OTHERS``.
        rel_pos_bias: Whether there are tables as BEiT's.
        rotary: Whether queries and keys are turned.

    Raises:
        ValueError: If the kind has relative positions of its own.
    """
    if attention != 'softmax' and rel_pos_bias:
        raise ValueError(
            f'attention={attention!r} has relative positions of its own: '
            'set rel_pos_bias=False'
        )
    if rotary:
        return "pos_embed='rotary'"
    if attention != 'softmax':
        return f'attention={attention!r}'
    return 'rel_pos_bias=True' if rel_pos_bias else None


def require_all(tokens: 'Tensor', grid: tuple[int, int], option: str | None) -> None:
    """Refuse tokens (B, n, D) that are not all patches of a grid, if an option says so.

    Raises:
        ValueError: If their number is another; naming the option that needs all.
    """
    if option and tokens.shape[1] != grid[0] * grid[1]:
        raise ValueError(
            f'{option} needs all {grid[0]} x {grid[1]} patches of img_size, '
            f'got {tokens.shape[1]} tokens: mask patches by mask tokens (SimMIM, '
            'ConMIM) and set img_size to that of the images'
        )
