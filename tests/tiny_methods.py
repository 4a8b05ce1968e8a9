"""Every pretraining method in the small configs, made tiny: generic tests find it."""

import copy
import functools
import re
import zlib
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.masking import stored_scorer
from ccmim.methods import PretrainMethod
from ccmim.registry import MODELS
from soaking.runs import VIT, narrow

ROOT = Path(__file__).parents[1]
# Methods with a part that no small config has, by name.
EXTRAS = {
    'mae_graph': ('mae', dict(extra=dict(type='GraphContrast'))),
    'mae_gram': ('mae', dict(anchor=dict(type='GramAnchor', scale=2.0))),
    'mae_kernel': ('mae', dict(anchor=dict(type='KernelAnchor', visible_only=True))),
    'conmim_style': ('conmim', dict(perturbation=[dict(type='StylePerturbation')])),
}
# How leaves begin that train or judge on labels; the others pretrain.
LABELED = (
    *('finetune', 'linear', 'knn', 'mask_rcnn', 'cascade', 'faster', 'fcos'),
    *('upernet', 'eomt'),
)


@functools.cache
def names():
    """Name each small config of a pretraining method at 128 px, as ``mae``."""
    found = sorted((ROOT / 'mm_configs/small').glob('*_vitt.py'))
    return [f.stem.removesuffix('_vitt') for f in found if _method(read(f.stem))]


def registered():
    """The registered methods of this package."""
    MODELS.import_from_location()
    kinds = MODELS.module_dict.values()
    return {
        kind
        for kind in kinds
        if isinstance(kind, type)
        and issubclass(kind, PretrainMethod)
        and kind.__module__.startswith('ccmim.methods.')
    }


def kinds():
    """The methods that the small configs name."""
    return {_method(read(f'{name}_vitt')) for name in names()}


def read(leaf):
    """Read a small config."""
    return copy.deepcopy(_read(leaf))


@functools.cache
def _read(leaf):
    file = ROOT / f'mm_configs/small/{leaf}.py'
    return Config.fromfile(file, import_custom_modules=False)


def tiny_config(name):
    """Read the small config of a method and make its networks narrow."""
    name, changes = EXTRAS.get(name, (name, {}))
    cfg = read(f'{name}_vitt')
    cfg.model.update(copy.deepcopy(changes))
    cfg.model.backbone.update(arch=dict(VIT), drop_path_rate=0.0)
    for key, part in cfg.model.items():
        if key != 'backbone' and isinstance(part, dict):
            narrow(part)
    return cfg


def with_extras():
    """Name all small configs, and those with parts that none of them has."""
    return [*names(), *EXTRAS]


def build(name, **changes):
    """Build a tiny method that knows of which images stored scores are wanted."""
    with DefaultScope.overwrite_default_scope('ccmim'):
        cfg = dict(tiny_config(name).model, data_preprocessor=None, **changes)
        cfg['backbone']['img_size'] = (64, 128)  # rows are no columns
        method = unsettled(MODELS.build(cfg))
    scorer = stored_scorer(method)
    if scorer is not None:
        _show(scorer)
    return method


# An averaged copy, 'teacher', is that of these.
_OWNERS = r'^(teacher\.)?(backbone|projector|predictor)\.'


def unsettled(module):
    """Move what begins as 0 or 1, so that leaving it out shows: biases, gammas, tables.

    By an amount that depends on the name alone: copies and other models move alike.
    """
    with torch.no_grad():
        for name, value in module.named_parameters():
            if value.ndim == 1 or value.unique().numel() == 1:
                seed = zlib.crc32(re.sub(_OWNERS, '', name).encode())
                generator = torch.Generator().manual_seed(seed)
                value += 0.1 * torch.randn(value.shape, generator=generator)
    return module


def batch(method):
    """Eight normalized images of noise, or pairs of views, as a method takes them."""
    rows, columns = (s * method.backbone.patch_size for s in method.backbone.grid)
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 3, method.num_views * rows, columns, generator=generator)


def _method(cfg):
    kind = MODELS.get(cfg.get('model', {}).get('type', ''))
    is_method = isinstance(kind, type) and issubclass(kind, PretrainMethod)
    return kind if is_method else None


def _show(scorer):
    # Maps of five pictures; a step shows eight parts of them, as ScoreRefreshHook does.
    scorer.hold(5)
    count = scorer.maps.shape[1]
    maps = (torch.arange(5 * count) * 7919 % 256).reshape(5, count).to(torch.uint8)
    scorer.store(maps, torch.ones(5))
    shown = torch.tensor([4, 0, 3, 1] * 2), torch.tensor([[0.0, 1.0, 0.0, 1.0]] * 8)
    scorer.register_forward_pre_hook(lambda module, _: module.show(*shown))
