"""Whether the classes of a config are those of its annotations and heads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.engine.settings.coco_classes import check_coco_file
from ccmim.engine.settings.mask_values import check_masks
from ccmim.engine.settings.names import find_types
from ccmim.engine.settings.processes import on_main

# Data sets of mmdet and mmseg are known by whose methods read their annotations; those
# with methods of their own are left alone. So neither has to be imported.
_READING = ('load_data_list', 'parse_data_info')
_CHECKS = {
    ('CocoDataset', 'CocoDataset'): check_coco_file,
    ('BaseSegDataset', 'BaseDataset'): check_masks,
}
_HEADS = ('bbox_head', 'mask_head', 'decode_head', 'auxiliary_head')
# Of mmseg: edges and no classes; classes without the background.
_OTHERS = ('STDCHead', 'SideAdapterCLIPHead')


def check_classes(cfg: Config, *stages: str) -> None:
    """Compare the classes of data sets with their annotations and the heads.

    mmdet leaves out the classes that an annotation file does not name, without a word,
    and a mask with an unknown number ends a run inside a GPU's kernel.

    Args:
        cfg: A whole config.
        stages: Whose data to look at: 'train', 'val', 'test'.

    Raises:
        ValueError: If the classes do not fit, or annotations are missing.
    """
    on_main(lambda: _check(cfg, stages))


def _check(cfg: Config, stages: Sequence[str]) -> None:
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine'):
        for stage in stages:
            loader = cfg.get(f'{stage}_dataloader') or {}
            path = f'{stage}_dataloader.dataset'
            for dataset, kind, check in _datasets(loader.get('dataset')):
                if classes := _classes(dataset, kind, path):
                    check(dataset, kind, classes)
                    _check_heads(cfg.get('model'), len(classes), 'model', path)


def _datasets(node: Any) -> Iterator[tuple[Mapping[str, Any], Any, Callable]]:
    """Find the data sets that can be checked, also inside wrappers."""
    if isinstance(node, list | tuple):
        for part in node:
            yield from _datasets(part)
    elif isinstance(node, Mapping):
        for kind in find_types(node.get('type')):
            methods = [getattr(kind, name, None) for name in _READING]
            owners = tuple(
                getattr(method, '__qualname__', '').partition('.')[0]
                for method in methods
            )
            if owners in _CHECKS:
                yield node, kind, _CHECKS[owners]
        yield from _datasets(node.get('dataset'))
        yield from _datasets(node.get('datasets'))


def _classes(dataset: Mapping[str, Any], kind: Any, path: str) -> Sequence[str]:
    given = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(given, str):
        if not Path(given).is_file():
            raise ValueError(
                f'{path}.metainfo.classes={given!r} is a text and no file: one class '
                f'is written ({given!r},)'
            )
        return Path(given).read_text().split('\n')
    return given or kind.METAINFO.get('classes') or ()


def _check_heads(node: Any, number: int, path: str, source: str) -> None:
    if isinstance(node, list | tuple):
        for i, part in enumerate(node):
            _check_heads(part, number, f'{path}.{i}', source)
    elif isinstance(node, Mapping) and 'language_model' not in node:
        name = path.rstrip('.0123456789').rsplit('.', 1)[-1]
        got = node.get('num_classes', number)
        own = node.get('class_agnostic') or node.get('type') in _OTHERS
        if name in _HEADS and got != number and not own:
            raise ValueError(
                f'{path}.num_classes={got}, but {source} has {number} classes: set it '
                f'to {number}'
            )
        for key in (*_HEADS, 'roi_head'):
            _check_heads(node.get(key), number, f'{path}.{key}', source)
