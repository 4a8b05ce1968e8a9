"""Strict loading of pretrained weights into the backbone."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from ccmim.checkpoints.finite import refuse_nonfinite
from ccmim.checkpoints.names import to_ccmim
from ccmim.checkpoints.safe_load import load_file
from ccmim.registry import WEIGHT_INITIALIZERS

# Parts of pretraining and classification files that a backbone has no use for.
NOT_BACKBONE = ('decoder.', 'contrast.', 'head.', 'fc_norm.', 'data_preprocessor.')
# Positions of another grid are resampled while loading.
RESAMPLED = ('pos_embed', 'relative_position_bias_table', 'rel_pos_h', 'rel_pos_w')
PATCHES = 'patch_embed.proj.weight'


@WEIGHT_INITIALIZERS.register_module()
class LoadBackbone:
    """What ``init_cfg=dict(type='Pretrained', ...)`` of a backbone of ours does.

    Args:
        checkpoint: See ``load_backbone``, as the others.
        allow_missing: Names of backbone parameters that the file need not hold.
        resize_patch: Whether a patch embedding of another side is resampled.
    """

    def __init__(
        self,
        checkpoint: str,
        allow_missing: Collection[str] = (),
        resize_patch: bool = False,
    ) -> None:
        self.checkpoint = checkpoint
        self.options = dict(allow_missing=allow_missing, resize_patch=resize_patch)

    def __call__(self, backbone: nn.Module) -> None:
        """Load the checkpoint into the backbone."""
        load_backbone(backbone, self.checkpoint, **self.options)


def load_backbone(
    backbone: nn.Module,
    file: str | Path,
    allow_missing: Collection[str] = (),
    resize_patch: bool = False,
) -> None:
    """Load a pretraining checkpoint, or another ViT file, into a Vision Transformer.

    Understands checkpoints of this project's runs as they are, plain backbone files,
    and files with timm's or MAE's names. Positions of another grid are resampled. The
    numbers of matched, missing and unexpected keys are logged.

    Args:
        backbone: The network to fill.
        file: A ``.pth`` or ``.safetensors`` file.
        allow_missing: Names of backbone parameters that the file need not hold.
        resize_patch: Whether a patch embedding of another side is resampled, so that
            a resized patch gives the same token (FlexiViT's pseudo-inverse,
            https://arxiv.org/abs/2212.08013, as timm computes it). ViT-H/14 becomes a
            ViT-H/16 so, as ViTDet does it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, of another size, or lacks a parameter of
            the backbone; the backbone is unchanged then.
    """
    state = backbone_state(load_file(file))
    own = backbone.state_dict()
    if resize_patch:
        _fit_patches(state, own[PATCHES], file)
    missing = sorted(set(own) - set(state))
    unexpected = sorted(set(state) - set(own))
    matched = len(own) - len(missing)
    report = (
        f'{file}: {matched} of {len(own)} backbone keys matched, '
        f'{len(missing)} missing{_some(missing)}, '
        f'{len(unexpected)} unexpected{_some(unexpected)}'
    )
    forbidden = [name for name in missing if name not in allow_missing]
    if forbidden:
        raise ValueError(
            f'{report}. Is it a ViT of this depth and with these options? A key that '
            'may be absent must be named in init_cfg.allow_missing'
        )
    if deeper := [name for name in unexpected if name.startswith('blocks.')]:
        raise ValueError(
            f'{report}. The backbone has no place for {deeper[0]}: set arch to the '
            'depth of the checkpoint, and the options to its own'
        )
    _check_shapes(own, state, file)
    refuse_nonfinite({k: v for k, v in state.items() if k in own}, file)
    backbone.load_state_dict(
        {name: value for name, value in state.items() if name in own}, strict=False
    )
    print_log(f'Loaded {report}', logger='current')


def backbone_state(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Pick the backbone's parameters, under this project's names, from a checkpoint.

    Args:
        checkpoint: What ``load_file`` gives.

    Returns:
        Parameters by name, without the parts that only pretraining or a classifier
        uses.

    Raises:
        ValueError: If there are no tensors in it.
    """
    for key in ('state_dict', 'model'):
        if isinstance(checkpoint.get(key), Mapping):
            checkpoint = checkpoint[key]
            break
    state = {k: v for k, v in checkpoint.items() if isinstance(v, Tensor)}
    if not state:
        raise ValueError('the checkpoint holds no parameters')
    state = to_ccmim({k.removeprefix('module.'): v for k, v in state.items()})
    inside = {
        k.removeprefix('backbone.'): v
        for k, v in state.items()
        if k.startswith('backbone.')
    }
    return inside or {k: v for k, v in state.items() if not k.startswith(NOT_BACKBONE)}


def _check_shapes(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], file: str | Path
) -> None:
    for name, value in own.items():
        if name not in state or state[name].shape == value.shape:
            continue
        if name.endswith(RESAMPLED) and state[name].shape[-1] == value.shape[-1]:
            continue
        raise ValueError(
            f'{file}: {name} has shape {tuple(state[name].shape)}, the backbone wants '
            f'{tuple(value.shape)}: set arch and patch_size to those of the checkpoint'
            + (' or init_cfg.resize_patch=True' if name == PATCHES else '')
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


def _some(names: list[str]) -> str:
    if not names:
        return ''
    more = ', ...' if len(names) > 5 else ''
    return f' ({", ".join(names[:5])}{more})'
