"""What of a file does not fit a backbone, and the options that would."""

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from ccmim.checkpoints.architecture import (
    PATCHES,
    UNSEEN,
    Architecture,
    read_architecture,
)
from ccmim.checkpoints.read import RawWeights

# Positions of another grid are resampled while loading.
RESAMPLED = ('pos_embed', 'relative_position_bias_table', 'rel_pos_h', 'rel_pos_w')


def compare_names(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], file: str | Path
) -> tuple[str, list[str], list[str]]:
    """Report which keys match; return those that are missing and unexpected, too."""
    missing = sorted(set(own) - set(state))
    unexpected = sorted(set(state) - set(own))
    matched = len(own) - len(missing)
    report = (
        f'{file}: {matched} of {len(own)} backbone keys matched, '
        f'{len(missing)} missing{_some(missing)}, '
        f'{len(unexpected)} unexpected{_some(unexpected)}'
    )
    return report, missing, unexpected


def option_of(name: str) -> str:
    """Name the option of the backbone on which a parameter depends."""
    options = {
        'cls_token': 'class_token',
        'reg_token': 'reg_tokens',
        'norm_pre': 'pre_norm',
        'norm.': 'final_norm',
        'pos_embed': 'pos_embed',
        '.ls1.': 'layer_scale_init',
        '.ls2.': 'layer_scale_init',
        '_norm.': 'qk_norm',
        'qkv.bias': 'qkv_bias',
        'bias_table': 'rel_pos_bias',
        'rel_pos_': 'attention',
    }
    option = next((o for part, o in options.items() if part in name), None)
    return f'{option} to that of the checkpoint' if option else (
        'arch to the depth of the checkpoint, and the options to its own'
    )  # fmt: skip


def fitting_options(raw: RawWeights, own: Architecture) -> str:
    """Format the backbone options that the file needs; empty if that is unclear."""
    try:
        theirs = read_architecture(
            raw.state, raw.usual | raw.declared, raw.grid
        ).options()
    except ValueError:
        return ''
    ours = own.options()
    theirs.pop('img_size')  # positions are resampled
    wrong = {k: v for k, v in theirs.items() if ours.get(k) != v}
    usual = {k: getattr(Architecture, k, None) for k in ours}
    gone = {**usual, 'pos_embed': 'sincos', 'mlp_ratio': 4.0, 'layer_scale_init': None}
    wrong |= {k: gone.get(k) for k in ours if k not in theirs and k != 'img_size'}
    side, patch = own.img_size, theirs['patch_size']
    if isinstance(side, int) and side % patch:
        wrong['img_size'] = max(patch, side // patch * patch)
    options = ', '.join(f'{name}={value!r}' for name, value in wrong.items())
    return f'backbone=dict({options})' if wrong else ''


def compare_unseen(raw: RawWeights, own: Architecture, file: str | Path) -> None:
    """Refuse what the file says and the tensors do not show, where it differs.

    Raises:
        ValueError: Naming the option of the backbone.
    """
    for name, key in UNSEEN.items():
        theirs, ours = raw.declared.get(name), getattr(own, name)
        if name == 'rope_theta' and own.pos_embed != 'rotary':
            continue
        if theirs is not None and theirs != ours:
            raise ValueError(
                f'{file} says {name}={theirs}, the backbone has {ours}: set {key} to '
                f'{theirs}'
            )
        usual = raw.usual.get(name)
        if theirs is None and usual is not None and usual != ours:
            raw.report.append(
                f'  {name} is {ours} here; usual for this layout is {usual}'
            )
    kinds = raw.declared.get('pos_embed'), own.pos_embed
    if 'rotary' in kinds and kinds[0] != kinds[1]:
        usual = raw.usual.get('pos_embed')
        if (kinds[0] or usual) != kinds[1]:
            raise ValueError(
                f'{file}: set pos_embed to {kinds[0] or usual or "learned"}'
            )
    elif raw.usual.get('pos_embed') == 'rotary' and own.pos_embed != 'rotary':
        raise ValueError(f"{file} has rotary positions: set pos_embed='rotary'")


def check_shapes(
    own: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    file: str | Path,
    right: Callable[[], str],
) -> None:
    """Refuse tensors of other shapes than the backbone's.

    Raises:
        ValueError: Naming the tensor and the options that fit it.
    """
    for name, value in own.items():
        if name not in state or state[name].shape == value.shape:
            continue
        if name.endswith(RESAMPLED) and state[name].shape[-1] == value.shape[-1]:
            continue
        if name == PATCHES and state[name].shape[1] != value.shape[1]:
            raise ValueError(
                f'{file} is of images of {state[name].shape[1]} channels, the backbone '
                f'takes {value.shape[1]}: set in_chans'
            )
        raise ValueError(
            f'{file}: {name} has shape {tuple(state[name].shape)}, the backbone wants '
            f'{tuple(value.shape)}: set '
            + (right() or 'arch and patch_size to those of the checkpoint')
            + (' or init_cfg.resize_patch=True' if name == PATCHES else '')
        )


def _some(names: list[str]) -> str:
    if not names:
        return ''
    more = ', ...' if len(names) > 5 else ''
    return f' ({", ".join(names[:5])}{more})'
