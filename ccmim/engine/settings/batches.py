"""Refuse batches of one image for models with batch norm."""

from collections.abc import Iterator

from mmengine.dist import get_world_size
from mmengine.runner import BaseLoop, IterBasedTrainLoop
from torch import nn

from ccmim.heads.projections import ProjectionHead
from ccmim.losses.contrast import SingleViewContrast

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)  # synchronized ones see other processes
_POOLS = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


def norms_of_one_value(model: nn.Module) -> list[str]:
    """Name the batch norms that see a single value a channel and image.

    Those on class tokens and pooled features, and those behind a pooling to 1 x 1, as
    in UperNet and PSPNet. The norms of ``ProjectionHead`` see all tokens of an image,
    and those of a contrast with ``batch_norm='global'`` the images of all processes.

    Args:
        model: In training mode.
    """
    names: dict[str, None] = {}
    for name, part in model.named_modules():
        children = list(part.named_children())
        pooled = False
        for key, child in children:
            alone = isinstance(child, nn.BatchNorm1d) and not _sees_more(model, name)
            if pooled or alone:
                names |= dict.fromkeys(_norms(child, f'{name}.{key}'.lstrip('.')))
            is_pool = isinstance(child, _POOLS) and isinstance(part, nn.Sequential)
            pooled |= is_pool and child.output_size in (1, (1, 1))
    return list(names)


def check_batches(loop: BaseLoop, model: nn.Module) -> None:
    """Refuse a batch of one image where a batch norm needs two.

    Args:
        loop: Of training, with its data loader.
        model: What is trained.

    Raises:
        ValueError: Naming the setting, or the last and short batch.
    """
    loader = loop.dataloader
    size = loader.batch_size or getattr(loader.batch_sampler, 'batch_size', None)
    if size is None:
        return
    by_epoch = not isinstance(loop, IterBasedTrainLoop)
    last = len(loader.sampler) % size if by_epoch and not loader.drop_last else 0
    if size > 1 and last != 1:
        return
    norms = norms_of_one_value(model)
    if not norms:
        return
    if size == 1:
        text = 'train_dataloader.batch_size=1 leaves'
        way = 'take 2 or more (less memory: model.backbone.with_cp=True)'
    else:
        text = f'of {len(loader.sampler)} images the last batch has one, which leaves'
        way = 'set train_dataloader.drop_last=True, or another batch_size'
    raise ValueError(f'{text} a single value to the batch norm {norms[0]}: {way}')


def _norms(part: nn.Module, name: str) -> Iterator[str]:
    for key, child in part.named_modules(prefix=name):
        if isinstance(child, _NORMS) and child.training:
            yield key


def _sees_more(model: nn.Module, name: str) -> bool:
    owner = model.get_submodule(name.rpartition('.')[0]) if name else model
    if isinstance(owner, SingleViewContrast):
        return owner.batch_norm == 'global' and get_world_size() > 1
    return isinstance(owner, ProjectionHead)
