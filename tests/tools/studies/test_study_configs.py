"""Every arm of the study is what its name says, and learns."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from ccmim.masking import StoredScorer
from ccmim.registry import MODELS
from studies.budgets import BUDGETS
from studies.study import config_of, known_arms

# What makes the arm, by dotted key; all else is that of ccMIM, or of MAE.
RANDOM = {'scorer.type': 'ConstantScorer', 'sampler.type': 'RandomSampler'}
HINTS = {'sampler.type': 'TopKSampler', 'sampler.hint_ratio': 0.05}
BOTH = {'contrast.grad': 'both'}
CHANGES = {
    'ccmim_no_contrast': {'type': 'MAE', 'sampler.type': 'CCMIMSampler'},
    'ccmim_random_mask': RANDOM,
    'ccmim_grad_both': BOTH,
    'ccmim_random_mask_grad_both': RANDOM | BOTH,
    'ccmim_attmask_grad_both': {'scorer.blocks': [-1], **HINTS, **BOTH},
    'ccmim_gumbel_t1': {'sampler.type': 'GumbelSampler', 'sampler.temperature': 1.0},
    'ccmim_gumbel_t03': {'sampler.type': 'GumbelSampler', 'sampler.temperature': 0.3},
    'ccmim_gumbel_t01': {'sampler.type': 'GumbelSampler', 'sampler.temperature': 0.1},
    'ccmim_topk_hints': HINTS,
    'ccmim_easy_to_hard': {'sampler.type': 'EasyToHardSampler', 'sampler.last': 0.5},
    'ccmim_mask50': {'mask_ratio': 0.5},
    'ccmim_mask60': {'mask_ratio': 0.6},
}


def pytest_generate_tests(metafunc):
    if 'file' in metafunc.fixturenames:
        root = metafunc.config.rootpath
        files = sorted((root / 'mm_configs/study').glob('*.py'))
        metafunc.parametrize('file', files, ids=lambda file: file.stem)
    if 'arm' in metafunc.fixturenames:
        arms = known_arms(metafunc.config.rootpath, BUDGETS['cpu'])
        metafunc.parametrize('arm', [arm for arm in arms if arm != 'random'])


def _flat(node, path=''):
    if not isinstance(node, dict):
        return {path: node}
    found = {}
    for key, value in node.items():
        found |= _flat(value, f'{path}.{key}' if path else key)
    return found


def test_an_arm_differs_from_its_base_in_what_its_name_says(file, request):
    arm, _, kind = file.stem.rpartition('_')
    tail = '_cifar10' if kind == 'cifar10' else ''
    small = request.config.rootpath / 'mm_configs/small'
    base = Config.fromfile(small / f'ccmim_vitt{tail}.py')
    cfg = Config.fromfile(file)
    ours, theirs = _flat(cfg.model.to_dict()), _flat(base.model.to_dict())
    changed = {key for key in ours if ours[key] != theirs.get(key)}
    expected = CHANGES[arm]
    assert {key: ours[key] for key in expected} == expected
    named = {key for key in expected if expected[key] != theirs.get(key)}
    with_it = {'sampler.first'} if arm == 'ccmim_easy_to_hard' else set()
    assert changed == named | with_it
    gone = {key.split('.')[0] for key in theirs.keys() - ours.keys()}
    assert gone <= {'contrast', 'contrast_weight', 'scorer'}
    rest = 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg'
    assert all(cfg[key] == base[key] for key in rest)


@pytest.mark.slow
def test_the_loss_of_an_arm_falls(arm, request):
    config = config_of(request.config.rootpath, arm, 'cifar10')
    cfg = Config.fromfile(config)
    hub = MessageHub.get_current_instance()
    for key, value in dict(epoch=0, iter=0, max_iters=12).items():
        hub.update_info(key, value)
    with DefaultScope.overwrite_default_scope('ccmim'):
        method = MODELS.build(cfg.model).train()
    if isinstance(getattr(method, 'scorer', None), StoredScorer):
        method.scorer = method.scorer.scorer  # without a data set to keep scores of
    coarse = torch.randn(8, 3, 6, 6)
    images = torch.nn.functional.interpolate(coarse, (32, 32), mode='bicubic')
    optimizer = torch.optim.AdamW(method.parameters(), 1e-3)
    totals = []
    for step in range(12):
        hub.update_info('iter', step)
        losses = method(images, mode='loss')
        total = sum(value for key, value in losses.items() if 'loss' in key)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
        assert math.isfinite(totals[-1])
    assert sum(totals[-3:]) < 0.97 * sum(totals[:3])
