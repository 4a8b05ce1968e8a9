"""Conversions shared by several formats: split QKV, missing biases."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ccmim.checkpoints.architecture import NOT_READ, PATCHES, grid_of_positions
from ccmim.checkpoints.layouts import Tensors
from ccmim.vit.archs import resolve_grid

_BACKBONE = re.compile(
    r'cls_token|reg_token|pos_embed|(patch_embed\.proj|norm|norm_pre)\.(weight|bias)|'
    r'blocks\.\d+\.((norm[12]|attn\.(qkv|proj|[qk]_norm)|mlp\.fc[12])\.(weight|bias)|'
    r'ls[12]\.gamma|attn\.(relative_position_bias_table|rel_pos_[hw]))'
)
# Why a tensor is left out, by what its name begins with; the first that fits.
_LEFT_OUT = {
    r'decoder|(.*\.)?mask_token|lm_head|projector|predictor|contrast\.|rel_pos_bias2': (
        'of pretraining only'
    ),
    r'attn_pool|head\.(probe|attention|layernorm|mlp)': (
        'attention pooling, which our features are before'
    ),
    r'head|fc_norm|classifier|pooler|fc\.|ln2\.|logit_scale|pre_logits|distillat': (
        'of the classifier'
    ),
    r'proj$|(visual|text)_projection|logit_bias': 'of the projection to texts',
    r'query\.|class_(head|predictor)|mask_head|upscale|attn_mask_probs|criterion': (
        "of EoMT's head"
    ),
    r'n_averaged$': 'a counter of averages',
    r'local_cls_norm': 'of local crops only',
    r'(.*\.)?(relative_position_index|position_ids|periods)$': 'computed anew',
}
# Parts of other networks, by what their names hold.
_FOREIGN = {
    r'inner_attn|(attn|mlp|ffn|swiglu)\.(norm|ffn_ln)': 'norms inside EVA-02 blocks',
    r'mlp\.w\d|ffn\.w\d|mlp\.fc1_[gx]': 'an MLP with a gate in other parts',
    r'attns?\.\d|ffns?\.\d|in_proj\.|mlp_(in|out)': 'parallel blocks',
    r'reg_token|register_token': 'register tokens in other parts',
    r'[qk]_norm': 'norms of queries or keys in other parts',
    r'pre_norm|ln_pre|pre_ln': 'a norm before the blocks under another name',
    r'dist': 'a distillation token in other parts',
    r'rope': 'rotary positions of another kind',
    r'lora_': 'LoRA: merge it into the weights first',
    r'(weight_scale|qweight|qzeros|SCB|absmax)': 'quantized weights',
    r'patch_embed': 'another patch embedding',
}
_PART = re.compile(r'(blocks\.\d+\.attn\.)([qkv])(?:_proj)?[._](weight|bias)')


def settle(
    named: Mapping[str, Tensor], declared: Mapping[str, Any], notes: list[str]
) -> tuple[Tensors, tuple[int, int] | None, dict[str, str]]:
    """Make of tensors with our names those of ``VisionTransformer``.

    Args:
        named: What a layout's ``read`` gives.
        declared: What else is known, such as ``img_size``, ``pos_rows`` (rows of the
            positions before those of the patches) and ``grid`` (of the network that
            will be filled).
        notes: Gets a line for all that is not as it was in the file.

    Returns:
        The tensors; the grid of their positions, None without; why each of the others
        is left out, by name.

    Raises:
        ValueError: If our network has no place for a tensor, or the grid
            is left open.
    """
    state = {k: v for k, v in named.items() if v.numel()}  # of no registers
    for token in ('cls_token', 'reg_token', 'dist_token'):
        if token in state and state[token].numel() % state[token].shape[-1] == 0:
            value = state[token]
            state[token] = value.reshape(1, -1, value.shape[-1])
    _refuse_lookalikes(state)
    _join_gates(state)
    _join_qkv(state, notes)
    patches = state.get(PATCHES)
    if patches is not None and patches.ndim == 4:
        if patches.shape[2] != patches.shape[3]:
            raise ValueError(
                f'{PATCHES} has shape {tuple(patches.shape)}: its patches are no '
                'squares'
            )
        if 'patch_embed.proj.bias' not in state:
            state['patch_embed.proj.bias'] = patches.new_zeros(len(patches))
            notes.append('patches have no bias: zeros')
        if declared.get('patch_size', patches.shape[-1]) != patches.shape[-1]:
            raise ValueError(
                f'patches are of {patches.shape[-1]} px, it says '
                f'{declared["patch_size"]}'
            )
        grid = _settle_positions(state, declared, patches.shape[-1], notes)
    else:
        grid = None
    backbone, left_out = _split(state)
    return backbone, grid, left_out


def _refuse_lookalikes(state: Tensors) -> None:
    fc1, fc2 = (state.get(f'blocks.0.mlp.fc{i}.weight') for i in (1, 2))
    gated = fc1 is not None and fc2 is not None and len(fc1) == 2 * fc2.shape[-1]
    pools = any(name.startswith('attn_pool.') for name in state)
    kind = 'EVA-02' if gated and 'blocks.0.attn.q_bias' in state else ''
    kind = 'a Perception Encoder' if pools and 'norm_pre.weight' in state else kind
    if kind:
        raise ValueError(f'these are weights of {kind}, {NOT_READ[kind]}')


def _join_gates(state: Tensors) -> None:
    for name in [k for k in state if '.mlp.fc1_g.' in k]:
        other = name.replace('fc1_g', 'fc1_x')
        if other in state:
            gate = state.pop(name)
            joined = torch.cat([gate, state.pop(other)])
            state[name.replace('fc1_g', 'fc1')] = joined


def _join_qkv(state: Tensors, notes: list[str]) -> None:
    parts: dict[str, dict[str, str]] = {}
    for name in state:
        if match := _PART.fullmatch(name):
            kind = parts.setdefault(f'{match[1]}qkv.{match[3]}', {})
            kind[match[2]] = name
    absent = set()
    for joined, names in parts.items():
        if joined.endswith('weight') and len(names) < 3:
            continue  # left as it is, and refused
        values = {part: state.pop(name) for part, name in names.items()}
        like = next(iter(values.values()))
        absent |= set('qkv') - set(values)
        three = [values.get(part, torch.zeros_like(like)) for part in 'qkv']
        state[joined] = torch.cat(three)
    for name in [k for k in state if k.endswith('.attn.qkv.bias_mask')]:
        mask, bias = state.pop(name), name.removesuffix('_mask')
        kept = mask.nan_to_num(0) != 0
        if bias in state:
            state[bias] = torch.where(kept, state[bias], 0)
        absent |= set() if kept.all() else {'k'}
    if absent:
        words = dict(q='queries', k='keys', v='values')
        missing = ' and '.join(words[part] for part in sorted(absent))
        notes.append(f'{missing} have no bias: zeros')


def _settle_positions(
    state: Tensors, declared: Mapping[str, Any], patch: int, notes: list[str]
) -> tuple[int, int] | None:
    table = state.get('pos_embed')
    distilled = state.pop('dist_token', None)
    registers = state.get('reg_token')
    if distilled is not None:
        registers = distilled
        state['reg_token'] = distilled
        notes.append('the distillation token is read as a register')
    if table is None:
        return None
    table = table.reshape(1, *table.shape[-2:]) if table.ndim >= 2 else table
    if table.ndim != 3:
        return None
    first = int('cls_token' in state)
    many = 0 if registers is None else registers.shape[1]
    rows = _usual_rows(table, first, many, distilled is not None)
    if 'pos_rows' in declared:
        rows = [declared['pos_rows']]
    fitted = _find_grid(table, rows, declared, patch)
    if fitted is None and 'img_size' in declared:
        sides = resolve_grid(declared['img_size'], patch)
        wanted = 1, rows[0] + sides[0] * sides[1], table.shape[2]
        raise ValueError(
            f'pos_embed has shape {tuple(table.shape)}, but {wanted} in a ViT of patch '
            f'{patch}, image {declared["img_size"]}, {"a" if first else "no"} class '
            'token'
        )
    if fitted is None:
        _ask_for_grid(table, rows, patch)
    before, grid = fitted
    if before > first and many:  # positions of registers: part of what they are
        state['reg_token'] = registers + table[:, first : first + many]
    empty = torch.zeros_like(table[:, :1])
    class_row = table[:, :1] if before and first else empty
    if first and not before:
        notes.append('the class token has no position: zeros')
    state['pos_embed'] = torch.cat([class_row, table[:, before:]], dim=1)
    return grid


def _usual_rows(table: Tensor, first: int, many: int, distilled: bool) -> list[int]:
    if distilled:
        return [first + many]
    rows = [first, first + many, 0]
    if not first and not table[:, :1].any():
        rows.insert(0, 1)  # ours keep the row of the class token
    return list(dict.fromkeys(rows))


def _find_grid(
    table: Tensor, rows: Sequence[int], declared: Mapping[str, Any], patch: int
) -> tuple[int, tuple[int, int]] | None:
    counts = {before: table.shape[1] - before for before in rows}
    if (size := declared.get('img_size')) is not None:
        grid = resolve_grid(size, patch)
        fitting = [b for b, count in counts.items() if count == grid[0] * grid[1]]
        return (fitting[0], grid) if fitting else None
    for before in rows:
        if grid := grid_of_positions(F.pad(table[:, before:], (0, 0, 1, 0)), patch):
            return before, grid
    if hint := declared.get('grid'):  # of the network that will be filled
        fitting = [b for b, count in counts.items() if count == hint[0] * hint[1]]
        return (fitting[0], tuple(hint)) if fitting else None
    return None


def _ask_for_grid(table: Tensor, rows: Sequence[int], patch: int) -> None:
    counts = [table.shape[1] - before for before in rows]  # of patches
    grids = [(n // c, c) for n in counts for c in range(1, n + 1) if n % c == 0]
    near = sorted(grids, key=lambda grid: abs(grid[0] - grid[1]))[:3]
    sizes = ' or '.join(f'{r * patch} x {c * patch}' for r, c in near)
    raise ValueError(
        f'{table.shape[1]} positions leave open whether its images had {sizes} px: '
        'give the image size (img_size)'
    )


def _split(state: Mapping[str, Tensor]) -> tuple[Tensors, dict[str, str]]:
    """Take the backbone's tensors, by our names, out of a file's."""
    backbone: Tensors = {}
    left_out: dict[str, str] = {}
    for name, value in state.items():
        if _BACKBONE.fullmatch(name):
            backbone[name] = value
        elif reason := _first(_LEFT_OUT, name, re.match):
            left_out[name] = reason
        else:
            what = _first(_FOREIGN, name, re.search) or 'an unknown part'
            raise ValueError(
                f'{name} of shape {tuple(value.shape)} is of {what}, which '
                'ccmim.VisionTransformer does not have'
            )
    periods = next(
        (v for k, v in state.items() if k.endswith('rope_embed.periods')), None
    )
    if periods is not None:
        steps = torch.arange(len(periods)) / len(periods)
        if not torch.allclose(periods.float().cpu(), 100.0**steps, rtol=1e-2):
            raise ValueError(
                'its rotary positions are not of 100 as the longest period'
            )
    return backbone, left_out


def foreign_part(names: Iterable[str]) -> str | None:
    """Name the part of another ViT that tensors belong to; None if there is none."""
    blocks = [name for name in names if name.startswith('blocks.')]
    found = (
        text
        for part, text in _FOREIGN.items()
        if any(re.search(part, name) for name in blocks)
    )
    return next(found, None)


def _first(
    table: Mapping[str, str], name: str, match: Callable[[str, str], object]
) -> str | None:
    return next((text for part, text in table.items() if match(part, name)), None)
