"""The small experiments: each arm pretraining or fine-tuning is a config that works."""

import pytest
import torch
from mmengine.registry import DefaultScope

from ccmim.engine.settings import check_arguments
from ccmim.registry import MODELS
from studies.family import SHOWS
from studies.small import settle


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in SHOWS if SHOWS[name].small])
def test_each_arm_builds_and_is_another_one(name, tmp_path):
    show, found = SHOWS[name], []
    for arm in show.arms:
        cfg = settle(show.of(arm)[0], tmp_path, 3, show.of(arm)[1], show.small)
        check_arguments(cfg)
        with torch.device('meta'), DefaultScope.overwrite_default_scope('ccmim'):
            MODELS.build(cfg.model)
        assert cfg.randomness.seed == 3
        found.append((cfg.model, cfg.train_cfg))
    assert all(one not in found[:i] for i, one in enumerate(found))
