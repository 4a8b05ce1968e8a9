"""Replace mmdet's and mmseg's readers of labels and photos by ours, in any config."""

from collections.abc import MutableMapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mmengine.config import Config

from ccmim.labels.settings import wheel

# By the scope of a config: where ours are, and the names that they take over.
_OURS = {
    'mmdet': {
        'ccmim.dense.objects': ('CocoDataset', 'CocoMetric'),
        'ccmim.dense.photos': ('LoadImageFromFile',),
    },
    'mmseg': {
        'ccmim.dense.label_maps': ('LoadAnnotations',),
        'ccmim.dense.photos': ('LoadImageFromFile',),
    },
}
_RENAMED = {'LoadAnnotations': 'ccmim.LoadLabelMap'}


def adopt_readers(cfg: Config, imports: bool = True) -> None:
    """Make a config read labels as the checks do, and complete its palettes.

    Args:
        cfg: Changed in place; one without detection or segmentation is left alone.
        imports: Whether to import them now.
    """
    scope = cfg.get('default_scope')
    if scope not in _OURS or find_spec(scope) is None:
        return
    for module, names in _OURS[scope].items():
        if not _replace(cfg._cfg_dict, names):
            continue
        named = cfg.get('custom_imports') or dict(imports=[])
        listed = named.get('imports') or []
        listed = [listed] if isinstance(listed, str) else list(listed)
        if module not in listed:
            cfg.custom_imports = dict(named, imports=[*listed, module])
        if imports:
            import_module(module)


def _replace(node: Any, names: tuple[str, ...]) -> bool:
    """Replace types in a part of a config; return whether there were any."""
    if isinstance(node, list | tuple):
        return any([_replace(part, names) for part in node])
    if not isinstance(node, MutableMapping):
        return False
    kind, meta = str(node.get('type')), node.get('metainfo')
    short = kind.removeprefix('mmdet.').removeprefix('mmseg.')
    replaced = short in names
    if replaced:
        node['type'] = _RENAMED.get(short, f'ccmim.{short}')
    if isinstance(meta, MutableMapping) and isinstance(
        meta.get('classes'), list | tuple
    ):
        colors = meta.get('palette')
        if colors is not None and len(colors) != len(meta['classes']):
            meta['palette'] = wheel(len(meta['classes']))
    return any([replaced, *(_replace(part, names) for part in node.values())])
