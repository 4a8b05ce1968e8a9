"""What a ViT is made of, read from its tensors and from what its file says of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ccmim.vit import ARCHS, VisionTransformer, rel_pos
from ccmim.vit.archs import resolve_grid
from ccmim.vit.pos_embed import fixed_grid, square_grid

PATCHES = 'patch_embed.proj.weight'
TABLE = 'blocks.0.attn.relative_position_bias_table'
# Which width has how many heads, where the file does not say; 1408 and 1536 are giants.
HEADS = {1408: 16, 1536: 24} | {a['embed_dim']: a['num_heads'] for a in ARCHS.values()}


@dataclass(frozen=True)
class Architecture:
    """Sizes and parts of a ViT; see the arguments of ``VisionTransformer``."""

    embed_dim: int
    depth: int
    num_heads: int
    hidden_dim: int
    img_size: int | list[int]
    patch_size: int
    in_chans: int = 3
    pos_embed: str = 'learned'
    qkv_bias: bool = True
    layer_scale: bool = False
    rel_pos_bias: bool = False
    final_norm: bool = True
    norm_eps: float = 1e-6

    @property
    def mlp_ratio(self) -> float:
        """Width of the MLPs in units of the width."""
        if self.hidden_dim % self.embed_dim == 0:
            return self.hidden_dim / self.embed_dim
        # Between two quotients: rounding down again must not lose a channel.
        return (self.hidden_dim + 0.5) / self.embed_dim

    def options(self) -> dict[str, Any]:
        """List the arguments of ``VisionTransformer`` that are not its defaults."""
        arch = {k: getattr(self, k) for k in ('embed_dim', 'depth', 'num_heads')}
        named = next((name for name, sizes in ARCHS.items() if sizes == arch), arch)
        options = dict(arch=named, img_size=self.img_size, patch_size=self.patch_size)
        others = dict(
            in_chans=(self.in_chans, 3),
            pos_embed=(self.pos_embed, 'sincos'),
            mlp_ratio=(self.mlp_ratio, 4.0),
            qkv_bias=(self.qkv_bias, True),
            layer_scale_init=(1e-5 if self.layer_scale else None, None),
            rel_pos_bias=(self.rel_pos_bias, False),
            final_norm=(self.final_norm, True),
            norm_eps=(self.norm_eps, 1e-6),
        )
        return options | {k: v for k, (v, usual) in others.items() if v != usual}

    def parts(self) -> set[str]:
        """Name what it has or lacks beside a plain ViT."""
        unusual = {
            'layer scale': self.layer_scale,
            'relative position bias': self.rel_pos_bias,
            'no position table': self.pos_embed == 'none',
            'no final norm': not self.final_norm,
            'no bias of queries, keys and values': not self.qkv_bias,
        }
        return {name for name, present in unusual.items() if present}


def read_architecture(
    state: Mapping[str, Tensor], said: Mapping[str, Any]
) -> Architecture:
    """Read the architecture from tensors with our names.

    Args:
        state: Tensors by our names.
        said: Fields that a file's metadata or the user gives; they come first, and
            ``check_tensors`` tells where the tensors contradict them.

    Raises:
        ValueError: If a size can neither be read nor is given.
    """
    patches, mlp = state.get(PATCHES), state.get('blocks.0.mlp.fc1.weight')
    if patches is None or patches.ndim != 4 or mlp is None:
        raise ValueError(
            f'there is no {PATCHES} of four dimensions, or no blocks.0.mlp.fc1.weight: '
            'no ViT of this layout'
        )
    width, table = len(patches), state.get(TABLE)
    found: dict[str, Any] = dict(
        embed_dim=width,
        depth=1 + max(int(m[1]) for k in state if (m := re.match(r'blocks\.(\d+)', k))),
        hidden_dim=len(mlp),
        patch_size=patches.shape[-1],
        in_chans=patches.shape[1],
        qkv_bias='blocks.0.attn.qkv.bias' in state,
        layer_scale='blocks.0.ls1.gamma' in state,
        rel_pos_bias=table is not None,
        final_norm='norm.weight' in state,
        num_heads=table.shape[-1] if table is not None else HEADS.get(width),
    )
    known = {field.name for field in fields(Architecture)}
    found |= {name: value for name, value in said.items() if name in known}
    if 'img_size' not in found:
        found['img_size'] = _image_size(state, found['patch_size'])
    if found['num_heads'] is None:
        raise ValueError(f'a width of {width} has no usual number of heads: give it')
    grid = resolve_grid(found['img_size'], found['patch_size'])
    found['pos_embed'] = _kind_of_positions(state.get('pos_embed'), grid)
    return Architecture(**found)


def check_tensors(state: Mapping[str, Tensor], architecture: Architecture) -> None:
    """Compare tensors with those of a network of the architecture.

    Args:
        state: Tensors by our names.
        architecture: What they should be.

    Raises:
        ValueError: If one is missing, superfluous or of another shape; naming both.
    """
    with torch.device('meta'):
        own = VisionTransformer(**architecture.options()).state_dict()
    kind = _sizes(architecture)
    for name, value in own.items():
        if name in state and state[name].shape != value.shape:
            raise ValueError(
                f'{name} has shape {tuple(state[name].shape)}, but '
                f'{tuple(value.shape)} in a ViT of {kind}'
            )
    for name in [k for k in own if k not in state]:
        raise ValueError(
            f'{name} of shape {tuple(own[name].shape)} is missing for a ViT of {kind}'
        )
    for name in [k for k in state if k not in own]:
        raise ValueError(
            f'{name} of shape {tuple(state[name].shape)} is not in a ViT of {kind}'
        )


def _image_size(state: Mapping[str, Tensor], patch: int) -> int | list[int]:
    positions, table = state.get('pos_embed'), state.get(TABLE)
    if positions is not None:
        if grid := fixed_grid(positions) or square_grid(positions):
            return _size_of(grid, patch)
    elif table is not None and (grid := rel_pos.square_grid(len(table))):
        return _size_of(grid, patch)
    shapes = [tuple(t.shape) for t in (positions, table) if t is not None]
    raise ValueError(
        f'positions of shape {shapes[0]} are of no square image with a class token: '
        'give the image size'
        if shapes
        else 'there are no positions, neither absolute nor relative ones'
    )


def _size_of(grid: tuple[int, int], patch: int) -> int | list[int]:
    rows, columns = (side * patch for side in grid)
    return rows if rows == columns else [rows, columns]


def _kind_of_positions(table: Tensor | None, grid: tuple[int, int]) -> str:
    if table is None:
        return 'none'
    return 'sincos' if fixed_grid(table) == grid else 'learned'


def _sizes(architecture: Architecture) -> str:
    a = architecture
    return (
        f'width {a.embed_dim}, depth {a.depth}, patch {a.patch_size}, image '
        f'{a.img_size}, {a.num_heads} heads, MLP {a.hidden_dim}'
    )
