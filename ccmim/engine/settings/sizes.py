"""Derive all sizes from the image size of the backbone."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.data.image import require_rgb
from ccmim.engine.settings.dense_sizes import fit_dense
from ccmim.engine.settings.names import find_types


def fit_sizes(cfg: Config) -> None:
    """Fill in the sizes that a config leaves to its backbone.

    Args:
        cfg: A whole config; changed in place.

    Raises:
        ValueError: See ``fit_images`` and ``fit_dense``.
    """
    fit_images(cfg)
    fit_dense(cfg)


def fit_images(cfg: Config) -> None:
    """Bring images to ``model.backbone.img_size`` where a transform says no ``size``.

    Args:
        cfg: A whole config; changed in place. Those of other libraries are left alone.

    Raises:
        ValueError: If a pretraining config crops its images to another size, for which
            masks and positions are not made; or if the model takes other images than
            RGB.
    """
    model = cfg.get('model')
    for key, part in dicts(model, 'model'):
        if isinstance(channels := part.get('in_chans'), int):
            require_rgb(channels, f'{key}.in_chans={channels}')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    if cfg.get('default_scope') != 'ccmim' or not isinstance(backbone, Mapping):
        return
    size = backbone.get('img_size', 224)
    for _, node in dicts(cfg._cfg_dict, ''):
        if 'type' in node and node.get('size', size) is None:
            node['size'] = size
    images = cfg.get('train_dataloader')
    images = images.get('dataset') if isinstance(images, Mapping) else None
    if not isinstance(images, Mapping):
        return  # reported when all values are compared with their ranges
    key = 'train_dataloader.dataset.transform'
    crops = [item for item in dicts(images.get('transform'), key) if 'size' in item[1]]
    for key, crop in crops[-1:]:
        if _sides(crop['size']) != _sides(size) and _takes_one_view(model):
            raise ValueError(
                f'{key}.size={crop["size"]} does not fit model.backbone: its img_size '
                f'is {size}. Set that alone, and leave the other at None'
            )


def check_updates(cfg: Config) -> None:
    """Compare how often a teacher follows with how often weights change.

    Raises:
        ValueError: If it would follow at other steps.
    """
    model, wrapper = cfg.get('model') or {}, cfg.get('optim_wrapper') or {}
    if is_momentum(teacher := model.get('teacher')):
        interval = teacher.get('interval', 1)
        accumulated = wrapper.get('accumulative_counts') or 1
        if interval != accumulated:
            raise ValueError(
                f'model.teacher.interval={interval} and '
                f'optim_wrapper.accumulative_counts={accumulated} differ: set both to '
                'the same number, as the teacher follows once an update'
            )


def check_captions(cfg: Config) -> None:
    """Compare what a method takes beside images with what the data set gives.

    Raises:
        ValueError: If a method wants captions and there are none.
    """
    loader = cfg.get('train_dataloader')
    dataset = loader.get('dataset') if isinstance(loader, Mapping) else None
    model = cfg.get('model')
    if not (isinstance(dataset, Mapping) and isinstance(model, Mapping)):
        return
    if any(kind.takes_captions for kind in _methods(model)):
        kind = str(dataset.get('type'))
        if kind.rpartition('.')[2] in ('UnlabeledImages', 'LabeledImages'):
            raise ValueError(
                f'{model.get("type")} learns from captions, of which {kind} has none: '
                "set train_dataloader.dataset.type='CaptionedImages', and its captions"
            )


def check_groups(cfg: Config) -> None:
    """Compare groups of images that belong together with the batch.

    Raises:
        ValueError: If some group would be cut in two.
    """
    loader = cfg.get('train_dataloader')
    sampler = loader.get('sampler') if isinstance(loader, Mapping) else None
    if not isinstance(sampler, Mapping):
        return
    if str(sampler.get('type')).rpartition('.')[2] != 'GroupSampler':
        return
    batch, size = loader.get('batch_size'), sampler.get('group_size', 4)
    if isinstance(batch, int) and isinstance(size, int) and size > 0 and batch % size:
        raise ValueError(
            f'train_dataloader.batch_size={batch} cuts groups of '
            f'train_dataloader.sampler.group_size={size}: make it a multiple'
        )


def is_momentum(teacher: Any) -> bool:
    """Return whether a teacher is an EMA of the network, not a part with a type."""
    return isinstance(teacher, Mapping) and 'type' not in teacher


def _takes_one_view(model: Mapping[str, Any]) -> bool:
    return any(kind.num_views == 1 for kind in _methods(model))


def _methods(model: Mapping[str, Any]) -> list[type]:
    from ccmim.methods import PretrainMethod  # imports torch, which few configs need

    with DefaultScope.overwrite_default_scope('ccmim'):
        kinds = find_types(model.get('type'))
    kinds = [kind for kind in kinds if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, PretrainMethod)]


def dicts(node: Any, key: str) -> Iterator[tuple[str, dict]]:
    """All dicts in a part of a config, with their keys."""
    if isinstance(node, dict):
        yield key, node
        for name, value in node.items():
            yield from dicts(value, f'{key}.{name}')
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from dicts(value, f'{key}.{i}')


def _sides(size: Any) -> tuple[int, ...]:
    return tuple(size) if isinstance(size, list | tuple) else (size, size)
