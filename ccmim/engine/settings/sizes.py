"""Whether the parts of a model are made for the same images and the same width."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config

from ccmim.vit.archs import resolve_arch

# Which argument of a part is the width of the tokens that it gets.
_WIDTHS = {
    'decoder': 'in_dim',
    'projector': 'in_dim',
    'contrast': 'in_dim',
    'mask_token': 'dim',
    'neck': 'in_channels',
}


def check_sizes(cfg: Config) -> None:
    """Compare the parts of a model, and the crops, with its Vision Transformer.

    Another width or side of a patch ends in the middle of the first step; images of
    another size than the decoder is made for are decoded at the wrong positions.

    Args:
        cfg: A whole config. Other backbones are left alone.

    Raises:
        ValueError: If two sizes do not fit together.
    """
    model = cfg.get('model')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if not isinstance(backbone, Mapping):
        return
    ours = 'VisionTransformer' if cfg.get('default_scope') == 'ccmim' else ''
    arch, patch_size = backbone.get('arch', 'base'), backbone.get('patch_size', 16)
    if backbone.get('type') not in (ours, 'ccmim.VisionTransformer'):
        return
    if not isinstance(arch, str | Mapping):
        return  # the class itself says what is wrong
    own = dict(
        width=resolve_arch(arch)['embed_dim'],
        patch_size=patch_size,
        img_size=backbone.get('img_size', 224),
    )
    found = list(_sizes_of_parts(model))
    if any(what == 'img_size' for _, _, what in found):
        found += _crops(cfg)
    for key, value, what in found:
        if _sides(value) != _sides(own[what]):
            raise ValueError(
                f'{key}={value} does not fit model.backbone: its {what} is {own[what]}'
            )


def _sizes_of_parts(model: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Key and value of each size that a part is made for, and what it is."""
    for name, part in model.items():
        if name in ('backbone', 'teacher') or not isinstance(part, Mapping):
            continue
        key = _WIDTHS.get(name)
        # What comes out of a projector has a width of its own.
        if key in part and not (name == 'contrast' and 'projector' in model):
            yield f'model.{name}.{key}', part[key], 'width'
        for key in ('patch_size', 'img_size'):
            if key in part:
                yield f'model.{name}.{key}', part[key], key


def _crops(cfg: Config) -> Iterator[tuple[str, Any, str]]:
    """Size of the last transform of the training images that sets one."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    transforms = dataset.get('transform')
    if isinstance(transforms, list | tuple):
        sized = [i for i, transform in enumerate(transforms) if 'size' in transform]
        for i in sized[-1:]:
            key = f'train_dataloader.dataset.transform.{i}.size'
            yield key, transforms[i]['size'], 'img_size'


def _sides(size: Any) -> Any:
    return tuple(size) if isinstance(size, list | tuple) else (size, size)
