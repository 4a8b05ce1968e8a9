"""Classification configs hold what their names say and the published recipes."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ccmim.engine.settings import fit_sizes
from ccmim.registry import MODELS
from ccmim.vit import ARCHS

ROOT = Path(__file__).parents[2] / 'mm_configs'
LEAVES = sorted(
    str(path.relative_to(ROOT))
    for folder in ('classification', 'small')
    for path in (ROOT / folder).glob('*.py')
    if re.match('(finetune|linear|knn)_vit._(imagenet|cifar10)', path.name)
)
ARCH_OF = {'t': 'tiny', 's': 'small', 'b': 'base', 'l': 'large', 'h': 'huge'}


def load(leaf):
    cfg = Config.fromfile(ROOT / leaf)
    fit_sizes(cfg)
    return cfg


def parts(leaf):
    """Task, letter of the size, data set, per cent of labels, pixels, block, LIO."""
    name = re.fullmatch(
        r'(finetune|linear|knn)_vit([tsblh])_(imagenet|cifar10)'
        r'(?:_(\d+)pct)?(?:_(\d+)px)?(?:_block(\d+))?(?:_(lio))?',
        Path(leaf).stem,
    )
    return name.groups()


@pytest.mark.parametrize('leaf', LEAVES)
def test_the_name_says_what_is_inside(leaf):
    cfg = load(leaf)
    task, size, data, percent, pixels, block, lio = parts(leaf)
    side = int(pixels or (32 if data == 'cifar10' else 224))
    patch = 4 if side == 32 else 14 if size == 'h' else 16
    backbone = cfg.model.backbone
    assert (backbone.arch, backbone.patch_size) == (ARCH_OF[size], patch)
    assert backbone.img_size == side
    assert cfg.get('block') == (int(block) if block else None)
    assert cfg.model.head.num_classes == (10 if data == 'cifar10' else 1000)
    assert cfg.model.get('frozen', False) == (task != 'finetune')
    assert ('extra' in cfg.model) == bool(lio)
    if lio:
        assert cfg.model.extra.keys() == {'type', 'extent', 'context'}
        assert cfg.train_dataloader.sampler.type == 'GroupSampler'
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    if not pixels:  # other sizes are for a quick look
        assert train.get('label_ratio', 1) == pytest.approx(float(percent or 100) / 100)
    assert train.data == val.data.rsplit('/', 1)[0] + '/train'
    assert data == 'imagenet' or train.data.endswith(f'{data}/train')
    for step in (*train.transform, *val.transform):
        assert step.get('size', side) == side
    assert backbone.init_cfg == dict(type='Pretrained', checkpoint=None)


@pytest.mark.parametrize('leaf', LEAVES)
def test_evaluation_sees_each_image_once_as_it_is(leaf):
    cfg = load(leaf)
    assert cfg.test_dataloader == cfg.val_dataloader
    top = dict(type='TopAccuracy', topk=(1, 5))
    assert cfg.test_evaluator == cfg.val_evaluator == top
    loaders = [cfg.val_dataloader]
    if 'knn' in leaf:
        loaders.append(cfg.train_dataloader)
    for loader in loaders:
        assert loader.sampler == dict(type='VisitSampler', shuffle=False)
        assert not loader.get('drop_last', False)
        types = [step.type for step in loader.dataset.transform]
        assert types == ['ResizeCenterCrop', 'ToUint8Tensor']
        share = 1.0 if 'cifar10' in leaf else 224 / 256
        assert loader.dataset.transform[0].crop_ratio == share


@pytest.mark.parametrize('leaf', LEAVES)
def test_the_model_builds_with_matching_widths(leaf):
    cfg = load(leaf)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert model.head.fc.in_features == model.backbone.embed_dim
    assert model.backbone.embed_dim == ARCHS[cfg.model.backbone.arch]['embed_dim']
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    if model.frozen:
        assert trained == {'head.fc.weight', 'head.fc.bias'}
        assert isinstance(model.head.norm, torch.nn.BatchNorm1d)
        assert not model.head.norm.affine
        assert model.pool == 'class'
    else:
        assert trained == {n for n, _ in model.named_parameters()}
        assert isinstance(model.head.norm, torch.nn.LayerNorm)
        assert isinstance(model.backbone.norm, torch.nn.Identity)
        assert model.pool == 'average'


@pytest.mark.parametrize('method', ['ccmim', 'mae'])
def test_cifar_is_pretrained_at_the_size_at_which_it_is_classified(method):
    cfg = load(f'small/{method}_vitt_cifar10.py')
    probe = load('small/linear_vitt_cifar10.py').model.backbone
    ours = cfg.model.backbone
    for key in ('arch', 'img_size', 'patch_size'):
        assert ours[key] == probe[key]
    dataset = cfg.train_dataloader.dataset
    assert dataset.type == 'UnlabeledImages'
    assert dataset.data.endswith('cifar10/train')
    assert dataset.transform[0].size == 32
