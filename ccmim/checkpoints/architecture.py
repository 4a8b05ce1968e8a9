"""Architecture of a ViT, read from its tensors and metadata."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ccmim.vit import ARCHS, VisionTransformer, rel_pos
from ccmim.vit.archs import resolve_grid
from ccmim.vit.embedding import fixed_grid

PATCHES = 'patch_embed.proj.weight'
TABLE = 'blocks.0.attn.relative_position_bias_table'
# Which width has how many heads wherever it is used; others differ between projects.
HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1152: 16, 1408: 16, 1536: 24, 4096: 32}
# Sides in pixels that positions of unknown grid are taken for.
SIDES = (
    224,
    240,
    256,
    288,
    336,
    378,
    384,
    392,
    448,
    480,
    512,
    518,
    560,
    768,
    896,
    1024,
)
# What tensors cannot say, and how it is set in a config.
UNSEEN = {
    'num_heads': "arch's num_heads",
    'norm_eps': 'norm_eps',
    'act': 'act',
    'rope_theta': 'rope_theta',
}

# Networks that are not read, although their tensors look like those of others.
NOT_READ = {
    'EVA-02': 'whose rotary positions, beside absolute ones, and inner norms are not '
    'read: take another network, such as DINOv3',
    'a Perception Encoder': 'whose rotary positions, beside absolute ones, are not '
    'read: take another network, such as DINOv3',
}


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
    act: str = 'gelu'
    class_token: bool = True
    reg_tokens: int = 0
    pre_norm: bool = False
    qk_norm: bool = False
    rope_theta: float = 100.0
    pos_resample: str = 'antialiased'
    attention: str = 'softmax'

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
            layer_scale_init=(1e-5 if self.layer_scale else None, None),
        )
        same = ('qkv_bias', 'rel_pos_bias', 'final_norm', 'norm_eps', 'act')
        same += ('class_token', 'reg_tokens', 'pre_norm', 'qk_norm', 'rope_theta')
        same += ('pos_resample', 'attention')
        defaults = {field.name: field.default for field in fields(self)}
        others |= {name: (getattr(self, name), defaults[name]) for name in same}
        return options | {k: v for k, (v, usual) in others.items() if v != usual}

    def parts(self) -> set[str]:
        """Name what it has or lacks beside a plain ViT."""
        unusual = {
            'layer scale': self.layer_scale,
            'relative position bias': self.rel_pos_bias,
            'rotary positions': self.pos_embed == 'rotary',
            'no position table': self.pos_embed == 'none',
            'no final norm': not self.final_norm,
            'no bias of queries, keys and values': not self.qkv_bias,
            'no class token': not self.class_token,
            'register tokens': self.reg_tokens > 0,
            'a norm before the blocks': self.pre_norm,
            'norms of queries and keys': self.qk_norm,
            f'the activation {self.act}': self.act != 'gelu',
            f'attention {self.attention}': self.attention != 'softmax',
        }
        return {name for name, present in unusual.items() if present}


def architecture_of(vit: VisionTransformer) -> Architecture:
    """Describe a network of ours."""
    block = vit.blocks[0]
    has_scale = hasattr(block.ls1, 'gamma')
    return Architecture(
        embed_dim=vit.embed_dim,
        depth=vit.depth,
        hidden_dim=block.mlp.fc2.in_features,
        patch_size=vit.patch_size,
        in_chans=vit.patch_embed.proj.in_channels,
        qkv_bias=block.attn.qkv.bias is not None,
        layer_scale=has_scale,
        rel_pos_bias=hasattr(block.attn, 'relative_position_bias_table')
        and vit.attention == 'softmax',
        final_norm=isinstance(vit.norm, torch.nn.LayerNorm),
        class_token=vit.class_token,
        reg_tokens=vit.reg_tokens,
        pre_norm=isinstance(vit.norm_pre, torch.nn.LayerNorm),
        qk_norm=isinstance(getattr(block.attn, 'q_norm', None), torch.nn.LayerNorm),
        **vit.unseen(),
    )


def read_architecture(
    state: Mapping[str, Tensor],
    declared: Mapping[str, Any],
    grid: tuple[int, int] | None,
) -> Architecture:
    """Read the architecture from tensors with our names.

    Args:
        state: Tensors by our names.
        declared: Fields that a file's metadata or the user gives; they come first, and
            ``check_tensors`` tells where the tensors contradict them.
        grid: Of the positions; None without.

    Raises:
        ValueError: If a size can neither be read nor is given.
    """
    patches, fc1, fc2 = (
        state.get(name)
        for name in (PATCHES, 'blocks.0.mlp.fc1.weight', 'blocks.0.mlp.fc2.weight')
    )
    if patches is None or patches.ndim != 4 or fc1 is None or fc2 is None:
        raise ValueError(
            f'there is no {PATCHES} of four dimensions, or no blocks.0.mlp.fc1.weight: '
            'no ViT of this layout'
        )
    width, table = len(patches), state.get(TABLE)
    gated = len(fc1) == 2 * fc2.shape[-1]
    values: dict[str, Any] = dict(
        embed_dim=width,
        depth=1 + max(int(m[1]) for k in state if (m := re.match(r'blocks\.(\d+)', k))),
        hidden_dim=fc2.shape[-1] if gated else len(fc1),
        patch_size=patches.shape[-1],
        in_chans=patches.shape[1],
        qkv_bias='blocks.0.attn.qkv.bias' in state,
        layer_scale='blocks.0.ls1.gamma' in state,
        rel_pos_bias=table is not None,
        final_norm='norm.weight' in state,
        pre_norm='norm_pre.weight' in state,
        qk_norm='blocks.0.attn.q_norm.weight' in state,
        class_token='cls_token' in state,
        reg_tokens=state['reg_token'].shape[1] if 'reg_token' in state else 0,
        num_heads=table.shape[-1] if table is not None else HEADS.get(width),
    )
    if 'blocks.0.attn.rel_pos_h' in state:
        values['attention'] = 'rel_pos'
        values['num_heads'] = width // state['blocks.0.attn.rel_pos_h'].shape[-1]
    if gated:
        values['act'] = 'swiglu'
    if grid is not None:
        rows, columns = (side * values['patch_size'] for side in grid)
        values['img_size'] = rows if rows == columns else [rows, columns]
    elif table is not None and (square := rel_pos.table_grid(len(table))):
        values['img_size'] = square[0] * values['patch_size']
    known = {field.name for field in fields(Architecture)}
    values |= {name: value for name, value in declared.items() if name in known}
    rotary = values.get('pos_embed') == 'rotary'
    placed = 'pos_embed' in state or table is not None or 'attention' in values
    if not placed and values.get('pos_embed') not in ('none', 'rotary'):
        raise ValueError(
            'there are no positions, neither absolute nor relative: say which it has '
            '(pos_embed)'
        )
    if rotary:
        values.setdefault(
            'img_size', 224 // values['patch_size'] * values['patch_size']
        )
    if 'img_size' not in values:
        raise ValueError(
            'the relative positions are of no square image: give its size (img_size)'
        )
    if values['num_heads'] is None:
        raise ValueError(
            f'a width of {width} has no usual number of heads: give it (num_heads)'
        )
    held = resolve_grid(values['img_size'], values['patch_size'])
    if not rotary:
        values['pos_embed'] = _kind_of_positions(state.get('pos_embed'), held)
    return Architecture(**values)


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


def grid_of_positions(table: Tensor, patch: int) -> tuple[int, int] | None:
    """Return the grid of positions (1, 1 + N, D), None if N leaves it open.

    Fixed positions tell theirs, and so do trained ones: neighbors are alike. A square
    of a usual side in pixels is taken for one.
    """
    if grid := fixed_grid(table):
        return grid
    count = table.shape[1] - 1
    grids = [(count // c, c) for c in range(2, count) if count % c == 0]
    squares = [grid for grid in grids if grid[0] == grid[1]]
    if len(grids) == 1 and squares:
        return squares[0]
    if grids and table.is_floating_point():
        patches = table[0, 1:].float()
        patches = F.normalize(patches - patches.mean(dim=0), dim=-1)
        alike = [(patches[c:] * patches[:-c]).sum(-1).mean().item() for _, c in grids]
        best, *rest = sorted(alike, reverse=True)
        if best > 0.2 and all(best > other + 0.05 for other in rest):
            return grids[alike.index(best)]
    usual = [grid for grid in squares if grid[0] * patch in SIDES]
    return usual[0] if usual else None


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
