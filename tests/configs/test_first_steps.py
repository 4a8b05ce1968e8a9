"""The first step of every pretraining and classification recipe, made narrow."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch.nn.functional import cross_entropy

from ccmim.registry import MODELS
from ccmim.vit import ARCHS, VisionTransformer
from tests.tiny_methods import LABELED

ROOT = Path(__file__).parents[2] / 'mm_configs'
PRETRAINING = sorted(
    f'{folder}/{path.stem}'
    for folder in ('pretrain', 'small')
    for path in (ROOT / folder).glob('*.py')
    if not path.stem.startswith(LABELED)
)
CLASSIFICATION = sorted(
    f'classification/{path.stem}' for path in (ROOT / 'classification').glob('*.py')
)
WIDTHS = ('in_dim', 'dim', 'embed_dim', 'hidden_dim')
WIDTH = 32


def narrow(part):
    """Make a network and what hangs on it narrow; depths and sizes stay."""
    for key, value in part.items():
        if isinstance(value, dict):
            narrow(value)
        elif key == 'arch':
            depth = ARCHS[value]['depth']
            part[key] = dict(embed_dim=WIDTH, depth=depth, num_heads=2)
        elif key == 'num_heads':
            part[key] = 2
        elif key in WIDTHS and not (key == 'dim' and 'length' in part):
            part[key] = WIDTH


def build(leaf, teacher=None):
    """Read a leaf and build its model, narrow; what is looked up is left out."""
    cfg = Config.fromfile(ROOT / f'{leaf}.py')
    model = cfg.model
    narrow(model)
    model.backbone.init_cfg = None
    if (model.get('scorer') or {}).get('type') == 'StoredScorer':
        model.scorer = dict(type='ConstantScorer')  # as before the first refresh
    if 'type' in model.get('teacher', {}):  # frozen, not an average of the student
        vit = {k: model.backbone[k] for k in ('arch', 'img_size', 'patch_size')}
        part = dict(vit, type=model.backbone.type)
        model.teacher = dict(type='ViTTeacher', backbone=part, checkpoint=str(teacher))
        torch.save(dict(state_dict=VisionTransformer(**vit).state_dict()), teacher)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('ccmim'):
        return cfg, MODELS.build(model).train()


def take_step(cfg, model, batch):
    """Train one step by the recipe's optimizer; its losses."""
    wrapped = cfg.optim_wrapper.to_dict() | dict(dtype='float32', accumulative_counts=1)
    with DefaultScope.overwrite_default_scope('ccmim'):
        wrapper = build_optim_wrapper(model, wrapped)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    losses = model.train_step(batch, wrapper)
    changed = {n for n, p in model.named_parameters() if not torch.equal(before[n], p)}
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    return {k: v.item() for k, v in losses.items() if 'loss' in k}, changed


@pytest.mark.slow
@pytest.mark.parametrize('leaf', PRETRAINING)
def test_a_method_takes_its_first_step(leaf, tmp_path):
    cfg, model = build(leaf, tmp_path / 'teacher.pth')
    steps = cfg.train_dataloader.dataset.transform
    views = 2 if steps[0].type == 'TwoViews' else 1
    side = cfg.model.backbone.img_size
    images = torch.randint(0, 256, (2, 3, views * side, side), dtype=torch.uint8)
    losses, changed = take_step(cfg, model, dict(inputs=images))
    assert all(math.isfinite(value) for value in losses.values())
    assert sum(losses.values()) > 0, 'nothing to learn from'
    learnt = {name.split('.')[0] for name in changed}
    assert 'backbone' in learnt
    assert {'decoder', 'projector', 'contrast', 'predictor'} & learnt


@pytest.mark.slow
@pytest.mark.parametrize('leaf', CLASSIFICATION)
def test_a_classifier_takes_its_first_step(leaf):
    cfg, model = build(leaf)
    images = torch.randint(0, 256, (4, 3, 224, 224), dtype=torch.uint8)
    labels = torch.tensor([0, 7, 500, 999])
    if 'optim_wrapper' not in cfg:  # k-NN
        feature = model.features(images.float())
        assert feature.shape == (4, WIDTH)
        return
    losses, changed = take_step(cfg, model, dict(inputs=images, labels=labels))
    (loss,) = set(losses.values())
    chance = cross_entropy(torch.zeros(4, 1000), labels).item()
    assert loss == pytest.approx(chance, rel=0.05), 'the head starts as a guess'
    learnt = {name.split('.')[0] for name in changed}
    assert learnt == ({'head'} if model.frozen else {'head', 'backbone'})
