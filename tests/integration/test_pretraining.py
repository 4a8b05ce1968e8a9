"""A real Runner pretrains on real files and transfers its weights."""

import pytest
import torch

from ccmim.checkpoints import load_file
from ccmim.engine.launch import build_runner


@pytest.fixture
def config(tiny_run):
    """Make a tiny config of epochs of two steps."""

    def make(name, folder, epochs):
        changes = {'train_dataloader.batch_size': 4, 'train_cfg.max_epochs': epochs}
        return tiny_run(name, folder, changes)

    return make


def _record(runner):
    """Collect the loss of each step."""
    losses = []
    train_step = runner.model.train_step

    def recorded(*args, **kwargs):
        logged = train_step(*args, **kwargs)
        losses.append({k: v.item() for k, v in logged.items()})
        return logged

    runner.model.train_step = recorded
    return losses


@pytest.mark.slow
def test_without_step_seeds_resume_differs(config, tmp_path):
    """The control of the tests of resuming: they can fail."""
    changes = {'default_hooks.step_seed': None}
    cfg = config('ccmim_vitb', 'a', 2)
    cfg.merge_from_dict(changes)
    runner = build_runner(cfg)
    straight = _record(runner)
    runner.train()
    cfg = config('ccmim_vitb', 'b', 2)
    cfg.merge_from_dict(changes)
    cfg.load_from, cfg.resume = str(tmp_path / 'a' / 'epoch_1.pth'), True
    resumed_runner = build_runner(cfg)
    resumed = _record(resumed_runner)
    resumed_runner.train()
    assert resumed != straight[2:]


def test_checkpoint_serves_downstream_unchanged(config, tmp_path, tiny_vit):
    """Zero missing and unexpected keys, and the same features."""
    cfg = config('ccmim_vitb', 'run', 1)
    runner = build_runner(cfg)
    runner.train()
    file = tmp_path / 'run' / 'epoch_1.pth'
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    vit.init_weights()
    trained = {
        k.removeprefix('backbone.'): v
        for k, v in load_file(file)['state_dict'].items()
        if k.startswith('backbone.')
    }
    assert trained.keys() == vit.state_dict().keys()
    images = torch.randn(2, 3, 64, 64)
    backbone = runner.model.backbone.eval()
    torch.testing.assert_close(
        vit.eval()(images)[0], backbone(images)[0], atol=1e-6, rtol=0
    )


def test_too_few_images_for_a_batch_are_named(tiny_run):
    cfg = tiny_run('ccmim_vitb', 'a', {'train_dataloader.batch_size': 9})
    with pytest.raises(ValueError, match='8 images are too few for a batch of 9'):
        build_runner(cfg).train()
