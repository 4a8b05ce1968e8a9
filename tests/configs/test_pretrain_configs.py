"""Every pretraining config says what its name says, and builds."""

import copy
import functools
import math
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.checkpoints.normalization import MEAN, STD
from ccmim.engine.settings import fit_sizes
from ccmim.engine.settings.sizes import is_momentum
from ccmim.registry import MODELS
from ccmim.vit import ARCHS
from tests.tiny_methods import registered

METHODS = {kind.__name__.lower(): kind.__name__ for kind in registered()}
NAME = re.compile(r'([a-z0-9_]+?)_(vit[tsblh]|toy)')
ARCH_OF = {'t': 'tiny', 's': 'small', 'b': 'base', 'l': 'large', 'h': 'huge'}


def _leaves(root):
    folders = [root / 'mm_configs' / name for name in ('pretrain', 'small', 'demo')]
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    return [f for f in files if _method_of(f.name)]


def _method_of(name):
    """The registered method that a file is called after, if it is."""
    match = NAME.match(name)
    return match and METHODS.get(match[1].removeprefix('amt_').replace('_', ''))


def pytest_generate_tests(metafunc):
    if 'leaf' in metafunc.fixturenames:
        leaves = _leaves(metafunc.config.rootpath)
        ids = [f'{leaf.parent.name}/{leaf.stem}' for leaf in leaves]
        metafunc.parametrize('leaf', leaves, ids=ids)


_read = functools.cache(Config.fromfile)


@pytest.fixture
def cfg(leaf):
    """The config of a leaf; not to be changed."""
    return _read(leaf)


def _crop(cfg):
    """The transforms of one view."""
    dataset = cfg.train_dataloader.dataset
    if dataset.type == 'KeptImages':  # does them all
        return [dataset]
    steps = dataset.transform
    return steps[0].transform if steps[0].type == 'TwoViews' else steps


def _build(cfg):
    with torch.device('meta'), DefaultScope.overwrite_default_scope('ccmim'):
        return MODELS.build(cfg.model)


def test_name_is_content(leaf, cfg):
    size, names = NAME.match(leaf.stem)[2], [_method_of(leaf.stem)]
    if leaf.stem.endswith('no_contrast'):
        names = ['MAE']  # ccMIM without contrast is MAE with ccMIM's masks
    assert cfg.model.type in names
    if size != 'toy':
        assert cfg.model.backbone.arch == ARCH_OF[size[-1]]
    by_14 = size == 'vith' or '_vits14_' in leaf.stem or leaf.stem == 'neco_vits'
    patch = 4 if 'cifar10' in leaf.stem else 14 if by_14 else 16
    patch = 8 if leaf.stem.endswith('_64px') else patch
    assert cfg.model.backbone.patch_size == patch
    attention = 'lisa' if leaf.stem.endswith('_lisa') else 'softmax'
    assert cfg.model.backbone.get('attention', 'softmax') == attention
    assert cfg.train_dataloader.sampler.type == 'VisitSampler'
    epochs = re.search(r'_(\d+)e$', leaf.stem)
    if epochs:
        assert cfg.train_cfg.max_epochs == int(epochs[1])


def test_sizes_and_statistics_stand_in_one_place(cfg):
    """The model builds (on no device), for the images that it gets."""
    cfg = copy.deepcopy(cfg)
    sizes = [
        (key, part[key])
        for name, part in cfg.model.items()
        if name not in ('backbone', 'teacher') and isinstance(part, dict)
        for key in ('in_dim', 'img_size', 'patch_size')
        if key in part
    ]
    assert sizes == []
    model = _build(cfg)
    grid, patch = model.backbone.grid, model.backbone.patch_size
    normalized = cfg.model.data_preprocessor  # what teachers and perturbations undo
    assert (tuple(normalized.mean), tuple(normalized.std)) == (MEAN, STD)
    assert _crop(cfg)[0].size is None
    fit_sizes(cfg)
    assert (_crop(cfg)[0].size // patch,) * 2 == grid
    if is_momentum(cfg.model.get('teacher')):
        accumulated = cfg.optim_wrapper.get('accumulative_counts', 1)
        assert cfg.model.teacher.interval == accumulated
    if cfg.model.get('mask_ratio'):
        scores = torch.ones(1, math.prod(grid), device='meta')
        drawn = model.to('meta').sampler(scores, model.mask_ratio)
        assert drawn.ids_visible.numel() > 0


def test_scores_are_there_when_masks_need_them(leaf, cfg):
    """Stored maps are cropped as the images; AMT's sampler changes when they come."""
    hooks = [hook for hook in cfg.custom_hooks if 'ScoreRefresh' in hook.type]
    stored = leaf.stem.startswith('amt') or leaf.stem.endswith('cached_scores')
    assert bool(hooks) == stored
    if hooks:
        sampler = cfg.model.sampler.get('sampler', cfg.model.sampler)
        assert sampler.get('begin', 0) == hooks[0].begin
        assert cfg.model.scorer.type == 'StoredScorer'
        assert cfg.train_dataloader.dataset.type == 'ImagesWithCropBox'
        assert _crop(cfg)[0].type == 'RandomCropWithBox'


def test_contrastive_methods_see_two_views(leaf, cfg):
    steps = cfg.train_dataloader.dataset.get('transform', ())
    contrastive = cfg.model.type in ('SimCLR', 'DenseCL')
    assert ([step.type for step in steps] == ['TwoViews']) == contrastive


def test_every_size_is_there(request):
    names = {leaf.stem for leaf in _leaves(request.config.rootpath)}
    assert {'ccmim_vits', 'ccmim_vitb', 'ccmim_vitl', 'ccmim_vith', 'mae_vitb'} <= names
    full = {name.removesuffix('_vitb') for name in names if name.endswith('_vitb')}
    for method in full - {'ccmim', 'mae'}:
        sizes = 'tl' if method == 'flip' else 'ts'  # the published ones
        assert {f'{method}_vit{size}' for size in sizes} <= names
    assert set(ARCH_OF.values()) == set(ARCHS)
