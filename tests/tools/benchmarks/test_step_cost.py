"""What steps cost beside each other."""

import pytest
import torch
from mmengine.config import Config

from benchmarks.configs import step_costs


@pytest.fixture
def leaf(request):
    def leaf(name, **backbone):
        cfg = Config.fromfile(request.config.rootpath / f'mm_configs/small/{name}.py')
        cfg.model.backbone.update(backbone)
        return cfg

    return leaf


@pytest.mark.slow
def test_a_deeper_encoder_costs_what_its_blocks_do(leaf):
    arch = dict(embed_dim=192, num_heads=3)
    configs = {
        depth: leaf('simmim_vitt_cifar10', arch=dict(arch, depth=depth))
        for depth in (2, 12)
    }
    costs = step_costs(configs, 8, rounds=3, steps=1, device=torch.device('cpu'))
    assert costs.keys() == configs.keys()
    assert 2.5 < costs[12] / costs[2] < 7, 'six times, but for what is beside blocks'


@pytest.mark.parametrize('name', ['maskdistill', 'amt_mae', 'simclr'])
def test_teachers_maps_and_views_need_not_be_given(leaf, name):
    cfg = leaf(f'{name}_vitt_cifar10', arch=dict(embed_dim=24, depth=1, num_heads=2))
    if 'teacher' in cfg.model:
        cfg.model.teacher.backbone.arch = cfg.model.backbone.arch
    costs = step_costs({name: cfg}, 2, rounds=1, steps=1, device=torch.device('cpu'))
    assert costs[name] > 0
