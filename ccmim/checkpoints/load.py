"""Strict loading of pretrained weights into a backbone."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from ccmim.checkpoints.architecture import (
    PATCHES,
    Architecture,
    architecture_of,
)
from ccmim.checkpoints.mismatch import (
    check_shapes,
    compare_names,
    compare_unseen,
    fitting_options,
    option_of,
)
from ccmim.checkpoints.normalization import Pixels
from ccmim.checkpoints.read import (
    RawWeights,
    Weights,
    find_state,
    read_weights,
)
from ccmim.files import one_line
from ccmim.registry import WEIGHT_INITIALIZERS
from ccmim.vit import VisionTransformer
from ccmim.vit.embedding import resample_pos_embed
from ccmim.vit.lora import plain_state


@WEIGHT_INITIALIZERS.register_module()
class LoadBackbone:
    """Implement ``init_cfg=dict(type='Pretrained', ...)`` of our backbone.

    Args:
        checkpoint: The weights, see ``load_backbone``.
        num_heads: See ``read_weights``.
        act: Likewise.
        part: Likewise.
        layout: Likewise.
        options: Other arguments of ``load_backbone``.

    Raises:
        ValueError: If there is no such option.
    """

    def __init__(self, checkpoint: str, **options: Any) -> None:
        known = ('allow_missing', 'resize_patch', 'img_size', 'part', 'layout')
        for name in options:
            if name not in known:
                raise ValueError(f'init_cfg.{name} is unknown; there are {known}')
        self.checkpoint, self.options = checkpoint, options

    def __call__(self, backbone: nn.Module) -> None:
        """Load the weights into the backbone."""
        load_backbone(backbone, self.checkpoint, **self.options)


def build_backbone(
    weights: str | Path,
    img_size: int | list[int] | None = None,
    num_heads: int | None = None,
    act: str | None = None,
    part: str = '',
    layout: str = 'auto',
    **options: Any,
) -> VisionTransformer:
    """Build the Vision Transformer that fits weights of any known layout.

    What was read and what was assumed is logged.

    Args:
        weights: See ``read_weights``.
        img_size: Side or height and width in pixels of the images that it will see:
            positions are resampled. Where the weights leave open the grid of their
            positions, the size that they are for.
        num_heads: See ``read_weights``.
        act: Likewise.
        part: Likewise.
        layout: Likewise.
        options: Other arguments of ``VisionTransformer``, such as ``out_indices``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, see ``read_weights``, or an option fits none.
    """
    reading = dict(num_heads=num_heads, act=act, part=part, layout=layout)
    try:
        raw = read_weights(weights, **reading)
    except ValueError as error:
        if img_size is None or '(img_size)' not in str(error):
            raise
        raw = read_weights(weights, img_size=img_size, **reading)
    for line in raw.report:
        print_log(line, logger='current')
    return network_of(raw, img_size, **options)


def network_of(
    weights: Weights, img_size: int | list[int] | None = None, **options: Any
) -> VisionTransformer:
    """Build the Vision Transformer for weights that ``read_weights`` returned.

    Args:
        weights: What ``read_weights`` returned.
        img_size: See ``build_backbone``.
        options: Likewise.
    """
    given = weights.architecture.options() | options
    network = VisionTransformer(**given)
    network.load_state_dict(weights.state)
    if img_size not in (None, weights.architecture.img_size):
        resized = VisionTransformer(**{**given, 'img_size': img_size})
        resized.load_state_dict(network.state_dict())  # which resamples the positions
        network = resized
    network.default_cfg |= weights.pixels.in_units()
    return network


def load_backbone(
    backbone: nn.Module,
    file: str | Path,
    allow_missing: Collection[str] = (),
    resize_patch: bool = False,
    img_size: int | list[int] | None = None,
    part: str = '',
    layout: str = 'auto',
) -> None:
    """Load weights of any known layout into a Vision Transformer.

    Positions of another grid are resampled, as the backbone's ``pos_resample`` says.
    What the tensors do not say and the file says (heads, eps, activation) must be
    the backbone's. The numbers of matched, missing and unexpected keys are logged.

    Args:
        backbone: The network to fill.
        file: File, folder, ``timm:NAME`` or ``hf:OWNER/NAME``, as of ``read_weights``.
        allow_missing: Names of backbone parameters that the file need not hold.
        resize_patch: Whether a patch embedding of another side is resampled, so that
            a resized patch gives the same token (FlexiViT's pseudo-inverse,
            https://arxiv.org/abs/2212.08013, as timm computes it). ViT-H/14 becomes a
            ViT-H/16 so, as ViTDet does it.
        img_size: Side or height and width in pixels that the file's positions are for,
            where their number leaves that open and they are not for the backbone's.
        part: Which network of several; 'ema' for averaged weights.
        layout: Of the file; 'auto' takes it from the keys.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of another network or size, or lacks a
            parameter of the backbone; the backbone is unchanged then.
    """
    own_kind = architecture_of(backbone)
    raw = find_state(
        file, layout, part, dict(img_size=img_size, grid=_grid_if_any(backbone))
    )
    state, own = raw.state, plain_state(backbone)
    if resize_patch:
        _fit_patches(state, own[PATCHES], file)
    report, missing, unexpected = compare_names(own, state, file)
    right = partial(fitting_options, raw, own_kind)
    if forbidden := [name for name in missing if name not in allow_missing]:
        raise ValueError(
            one_line(
                f'{report}. Is it a ViT of this depth and with these options? Set '
                f'{right() or option_of(forbidden[0])}. A key that may be absent must '
                'be named in init_cfg.allow_missing'
            )
        )
    if wrong := [k for k in unexpected if not k.startswith(('norm.', 'pos_embed'))]:
        raise ValueError(
            one_line(
                f'{report}. The backbone has no place for {wrong[0]}: set '
                f'{right() or option_of(wrong[0])}'
            )
        )
    check_shapes(own, state, file, right)
    compare_unseen(raw, own_kind, file)
    _fit_positions(raw, own_kind, backbone)
    backbone.load_state_dict(
        {name: value for name, value in state.items() if name in own}, strict=False
    )
    if (pixels := Pixels.of(raw.usual | raw.declared)) != Pixels():
        raw.report.append(f'  made for images that are normalized by {pixels}')
    backbone.default_cfg |= pixels.in_units()
    print_log(f'Loaded {report}', logger='current')
    for line in raw.report[1:]:
        print_log(line, logger='current')


def _grid_if_any(backbone: nn.Module) -> tuple[int, int] | None:
    return None if backbone.pos_kind in ('none', 'rotary') else backbone.grid


def _fit_positions(raw: RawWeights, own: Architecture, backbone: nn.Module) -> None:
    table = raw.state.get('pos_embed')
    if table is None or raw.grid is None or own.pos_embed in ('none', 'rotary'):
        return
    if raw.grid == backbone.grid:
        return
    raw.state['pos_embed'] = resample_pos_embed(
        table, raw.grid, backbone.grid, own.pos_resample
    )
    (a, b), (c, d) = raw.grid, backbone.grid
    theirs = (raw.usual | raw.declared).get('pos_resample', 'antialiased')
    differs = '' if theirs == own.pos_resample else f' (its owner: {theirs})'
    raw.report.append(
        f'  positions resampled from {a} x {b} to {c} x {d} patches, '
        f'{own.pos_resample}{differs}'
    )


def _fit_patches(state: dict[str, Tensor], own: Tensor, file: str | Path) -> None:
    kernel = state.get(PATCHES)
    if kernel is None or kernel.shape[2:] == own.shape[2:]:
        return
    if kernel.ndim != 4 or kernel.shape[:2] != own.shape[:2]:
        return  # another width or number of channels: refused as any other shape
    from timm.layers import resample_patch_embed

    state[PATCHES] = resample_patch_embed(kernel.float(), list(own.shape[2:]))
    print_log(
        f'{file}: {PATCHES} resampled from {tuple(kernel.shape)} to {tuple(own.shape)}',
        logger='current',
    )
